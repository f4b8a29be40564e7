//! The chroot: the server knows full paths, the core those below it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::path::Path;
use crate::wire::{Create, MultiRequest, Request, Response, WatchedEvent};

/// Where a client's paths begin.
#[derive(Clone, Debug)]
pub(super) struct Chroot(Option<Path>);

impl Chroot {
    pub(super) fn new(path: Option<Path>) -> Self {
        Self(path.filter(|path| path.as_str() != "/"))
    }

    /// How many bytes it puts before each path.
    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |path| path.as_str().len())
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.0.as_ref()
    }

    /// The znodes to create, from the topmost one down.
    pub(super) fn znodes(&self) -> Vec<Path> {
        let mut znodes: Vec<Path> = core::iter::successors(self.0.clone(), Path::parent).collect();
        znodes.pop();
        znodes.reverse();
        znodes
    }

    /// The server's name for the core's `path`.
    pub(super) fn full(&self, path: &Path) -> String {
        let mut full = path.as_str().into();
        self.prefix(&mut full);
        full
    }

    /// Turns the paths of a request that the core can make into the server's.
    pub(super) fn prefix_all(&self, request: &mut Request) {
        if self.0.is_none() {
            return;
        }
        match request {
            Request::Create(Create { path, .. })
            | Request::Sync { path }
            | Request::AddWatch { path, .. }
            | Request::RemoveWatches { path, .. } => self.prefix(path),
            Request::Delete(delete) => self.prefix(&mut delete.path),
            Request::SetData(set) => self.prefix(&mut set.path),
            Request::Exists(read) | Request::GetData(read) | Request::GetChildren2(read) => {
                self.prefix(&mut read.path);
            }
            Request::Multi(parts) => {
                for part in parts {
                    self.prefix(match part {
                        MultiRequest::Create(create) => &mut create.path,
                        MultiRequest::Delete(delete) => &mut delete.path,
                        MultiRequest::SetData(set) => &mut set.path,
                        MultiRequest::Check(check) => &mut check.path,
                    });
                }
            }
            // The core makes none of these; the client itself knows full paths.
            Request::GetAcl { .. }
            | Request::SetAcl { .. }
            | Request::GetChildren(_)
            | Request::Ping
            | Request::Check(_)
            | Request::MultiRead(_)
            | Request::Reconfig { .. }
            | Request::CheckWatches { .. }
            | Request::Auth { .. }
            | Request::SetWatches { .. }
            | Request::SetWatches2 { .. }
            | Request::GetEphemerals { .. }
            | Request::GetAllChildrenNumber { .. }
            | Request::WhoAmI
            | Request::CloseSession
            | Request::Garbled { .. }
            | Request::Unsupported { .. } => {}
        }
    }

    /// Turns the path of an answer into the core's; a path from elsewhere stays, and fits no request.
    pub(super) fn strip_answer(&self, mut response: Response) -> Response {
        if let Response::Create2 { path, .. } = &mut response
            && let Some(stripped) = self.strip(path)
        {
            *path = stripped;
        }
        response
    }

    /// The event with the core's path; `None` when it is about a znode elsewhere.
    pub(super) fn strip_event(&self, event: WatchedEvent) -> Option<WatchedEvent> {
        match self.0 {
            None => Some(event),
            Some(_) => Some(WatchedEvent { path: self.strip(&event.path)?, ..event }),
        }
    }

    fn prefix(&self, path: &mut String) {
        if let Some(root) = &self.0 {
            *path = if path == "/" { root.as_str().into() } else { format!("{root}{path}") };
        }
    }

    fn strip(&self, path: &str) -> Option<String> {
        let Some(root) = &self.0 else { return Some(path.into()) };
        match path.strip_prefix(root.as_str())? {
            "" => Some("/".into()),
            rest if rest.starts_with('/') => Some(rest.into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::wire::{Delete, Read};

    fn chroot(path: &str) -> Chroot {
        Chroot::new(Some(Path::new(path).unwrap()))
    }

    #[test]
    fn paths_go_out_with_it_and_come_back_without() {
        let chroot = chroot("/a/b");
        let full = |path: &str| chroot.full(&Path::new(path).unwrap());
        assert_eq!((full("/"), full("/x/y")), ("/a/b".into(), "/a/b/x/y".into()));
        let strip = |path: &str| chroot.strip(path);
        assert_eq!((strip("/a/b"), strip("/a/b/x")), (Some("/".into()), Some("/x".into())));
        assert_eq!((strip("/a/bc"), strip("/a"), strip("/c")), (None, None, None));
        let znodes: Vec<String> = chroot.znodes().into_iter().map(String::from).collect();
        assert_eq!(znodes, ["/a", "/a/b"]);
    }

    #[test]
    fn every_part_of_a_transaction_is_moved() {
        let mut multi = Request::Multi(vec![
            MultiRequest::Delete(Delete { path: "/x".into(), version: 1 }),
            MultiRequest::Check(crate::wire::Check { path: "/".into(), version: 1 }),
        ]);
        chroot("/r").prefix_all(&mut multi);
        let Request::Multi(parts) = multi else { panic!() };
        assert_eq!(parts[0], MultiRequest::Delete(Delete { path: "/r/x".into(), version: 1 }));
        assert_eq!(parts[1], MultiRequest::Check(crate::wire::Check { path: "/r".into(), version: 1 }));
    }

    #[test]
    fn the_root_is_no_chroot() {
        let chroot = chroot("/");
        assert_eq!((chroot.len(), chroot.path(), chroot.znodes().len()), (0, None, 0));
        let mut read = Request::Exists(Read::plain("/x"));
        chroot.prefix_all(&mut read);
        assert_eq!(read, Request::Exists(Read::plain("/x")));
    }
}
