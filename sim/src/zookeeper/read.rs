//! Answers reads from a tree: what may be seen, and what watch is left.

use queenright_core::SessionId;
use queenright_core::wire::{
    AuthId, ErrorCode, MultiReadRequest, MultiReadResult, Permissions, Read, Response,
};

use super::watches::Watched;
use super::{Profile, Tree, Znode, acl};

/// The most data and names that one multiRead is answered with, in bytes; one answer may go beyond it. Real servers know
/// no bound but their memory; clients take no frame that is a quarter as long.
pub const MULTI_READ_MAX: usize = 0x100_0000;

/// A tree as somebody with some identities sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) tree: &'a Tree,
    pub(super) identities: &'a [AuthId],
    pub(super) profile: Profile,
}

/// The answer to a read, and the table in which its watch, if it asks for one, is left.
pub(super) type Answer = (Result<Response, ErrorCode>, Option<Watched>);

impl View<'_> {
    /// No NUL, READ (since 3.9); also what is missing is watched.
    pub(super) fn exists(self, request: &Read) -> Answer {
        if request.path.contains('\0') {
            return (Err(ErrorCode::BAD_ARGUMENTS), None);
        }
        let watched = request.watch.then_some(Watched::Data);
        let found = match self.profile {
            Profile::V3_8 => self.tree.get(&request.path).ok_or(ErrorCode::NO_NODE),
            Profile::V3_9 => self.readable(&request.path),
        };
        match found {
            Ok(znode) => (Ok(Response::Exists { stat: znode.stat() }), watched),
            Err(ErrorCode::NO_NODE) => (Err(ErrorCode::NO_NODE), watched),
            Err(code) => (Err(code), None),
        }
    }

    /// Znode, READ.
    pub(super) fn data(self, request: &Read) -> Answer {
        self.read(request, Watched::Data, |znode| Response::GetData {
            data: znode.data.as_deref().map(Into::into),
            stat: znode.stat(),
        })
    }

    /// Znode, READ.
    pub(super) fn children(self, request: &Read) -> Answer {
        self.read(request, Watched::Children, |znode| Response::GetChildren { children: names(znode) })
    }

    /// Znode, READ.
    pub(super) fn children_with_stat(self, request: &Read) -> Answer {
        self.read(request, Watched::Children, |znode| Response::GetChildren2 {
            children: names(znode),
            stat: znode.stat(),
        })
    }

    /// Znode, READ or ADMIN; only who may set the list sees the digests in it.
    pub(super) fn acl(self, path: &str) -> Result<Response, ErrorCode> {
        let znode = self.permitted(path, Permissions::READ.union(Permissions::ADMIN))?;
        let acl = match acl::is_permitted(&znode.acl, Permissions::ADMIN, self.identities) {
            true => znode.acl.to_vec(),
            false => acl::without_secrets(&znode.acl),
        };
        Ok(Response::GetAcl { acl, stat: znode.stat() })
    }

    /// Znode, READ.
    pub(super) fn descendant_count(self, path: &str) -> Result<Response, ErrorCode> {
        self.readable(path)?;
        let count = i32::try_from(self.tree.descendant_count(path)).unwrap_or(i32::MAX);
        Ok(Response::GetAllChildrenNumber { count })
    }

    /// The ephemerals of `session` whose path begins with `prefix`, be it the path of a znode or not.
    pub(super) fn ephemerals(self, session: SessionId, prefix: &str) -> Response {
        // All begin with "" and with "/".
        let paths = self.tree.ephemerals(session).filter(|path| path.starts_with(prefix));
        Response::GetEphemerals { paths: paths.map(Into::into).collect() }
    }

    /// Each read by itself; no watch is left. What is beyond [`MULTI_READ_MAX`] is not read.
    pub(super) fn several(self, reads: &[MultiReadRequest]) -> Response {
        let mut taken = 0;
        let mut one = |read: &MultiReadRequest| {
            if taken >= MULTI_READ_MAX {
                return MultiReadResult::Error(ErrorCode::SYSTEM_ERROR);
            }
            let (result, _) = match read {
                MultiReadRequest::GetData(read) => self.data(read),
                MultiReadRequest::GetChildren(read) => self.children(read),
            };
            match result {
                Ok(Response::GetData { data, stat }) => {
                    taken += data.as_ref().map_or(0, Vec::len);
                    MultiReadResult::GetData { data, stat }
                }
                Ok(Response::GetChildren { children }) => {
                    taken += children.iter().map(String::len).sum::<usize>();
                    MultiReadResult::GetChildren { children }
                }
                Ok(other) => unreachable!("{other:?} answers no part of a multiRead"),
                Err(code) => MultiReadResult::Error(code),
            }
        };
        Response::MultiRead(reads.iter().map(&mut one).collect())
    }

    fn read(self, request: &Read, watched: Watched, response: impl Fn(&Znode) -> Response) -> Answer {
        match self.readable(&request.path) {
            Ok(znode) => (Ok(response(znode)), request.watch.then_some(watched)),
            Err(code) => (Err(code), None),
        }
    }
}

impl<'a> View<'a> {
    fn readable(self, path: &str) -> Result<&'a Znode, ErrorCode> {
        self.permitted(path, Permissions::READ)
    }

    fn permitted(self, path: &str, wanted: Permissions) -> Result<&'a Znode, ErrorCode> {
        let znode = self.tree.get(path).ok_or(ErrorCode::NO_NODE)?;
        match acl::is_permitted(&znode.acl, wanted, self.identities) {
            true => Ok(znode),
            false => Err(ErrorCode::NO_AUTH),
        }
    }
}

fn names(znode: &Znode) -> Vec<String> {
    znode.children().map(Into::into).collect()
}
