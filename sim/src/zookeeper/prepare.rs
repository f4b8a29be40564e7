//! Decides whether writes may happen: the order of checks, and which error wins.
//!
//! A [`Draft`] looks at a tree, and at what is on its way to it, without touching either, and remembers what the changes
//! decided so far would make of them. A transaction whose draft fails half way is undone by dropping the draft.

use std::collections::BTreeMap;
use std::sync::Arc;

use queenright_core::SessionId;
use queenright_core::wire::{
    Acl, AuthId, Check, Create, CreateFlags, CreateForm, Delete, ErrorCode, MultiRequest, Permissions,
    SetData,
};

use super::mutation::Mutation;
use super::outstanding::Outstanding;
use super::transaction::Change;
use super::{Owner, Tree, acl, path};

/// The longest time to live, in milliseconds: 40 bits.
const TTL_MAX_MS: i64 = (1 << 40) - 1;

/// Whoever asks for a write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Author<'a> {
    pub(super) session: SessionId,
    pub(super) identities: &'a [AuthId],
}

/// A transaction that is being decided.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    tree: &'a Tree,
    outstanding: &'a Outstanding,
    author: Author<'a>,
    /// What the changes so far make of the znodes that they touch; `None` for those that they delete.
    touched: Touched,
}

/// Znodes that change, as they will be; `None` for those that are deleted.
pub(super) type Touched = BTreeMap<Arc<str>, Option<Facts>>;

/// What decides about writes to a znode and to its children.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    acl: Arc<[Acl]>,
    pub(super) owner: Owner,
    version: i32,
    acl_version: i32,
    child_count: usize,
    children_created: i32,
}

impl<'a> Draft<'a> {
    /// An empty transaction on top of `tree` and of what is on its way to it.
    pub(super) fn new(tree: &'a Tree, outstanding: &'a Outstanding, author: Author<'a>) -> Self {
        Self { tree, outstanding, author, touched: Touched::new() }
    }

    /// Whether this rule is broken.
    pub(super) fn is_broken(&self, rule: Mutation) -> bool {
        self.tree.broken.is(rule)
    }

    /// What the transaction makes of the znodes that it touches.
    pub(super) fn into_touched(self) -> Touched {
        self.touched
    }

    /// A create of its own: the type of the request says what is created, and the flags whether it is an ephemeral.
    pub(super) fn create(&mut self, request: Create) -> Result<Change, ErrorCode> {
        let flags = known(request.flags).ok_or(ErrorCode::BAD_ARGUMENTS)?;
        let ttl = time_to_live(request.form, flags)?;
        let owner = match request.form {
            CreateForm::Create | CreateForm::Create2 if is_ephemeral(flags) => {
                Owner::Session(self.author.session)
            }
            CreateForm::Create | CreateForm::Create2 => Owner::Nobody,
            CreateForm::Container => Owner::Children,
            // Real servers break down here.
            CreateForm::Ttl { .. } => Owner::Ttl(ttl.ok_or(ErrorCode::BAD_ARGUMENTS)?),
        };
        self.create_owned(request, owner)
    }

    /// One write of a multi.
    pub(super) fn part(&mut self, request: MultiRequest) -> Result<Change, ErrorCode> {
        match request {
            MultiRequest::Create(request) => self.create_part(request),
            MultiRequest::Delete(request) => self.delete(&request),
            MultiRequest::SetData(request) => self.set_data(request),
            MultiRequest::Check(request) => self.check(&request),
        }
    }

    /// Path, parent, DELETE on the parent, znode, version, children.
    pub(super) fn delete(&mut self, request: &Delete) -> Result<Change, ErrorCode> {
        let Delete { path, version } = request;
        if !path.contains('/') || path.contains('\0') || is_permanent(path) {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        let parent = path::canonical(path::parent(path));
        let mut above = self.facts(parent)?;
        self.permit(&above, Permissions::DELETE)?;
        let facts = self.facts(path)?;
        require_version(facts.version, *version)?;
        if facts.child_count > 0 {
            return Err(ErrorCode::NOT_EMPTY);
        }
        above.child_count -= 1;
        self.touched.insert(parent.into(), Some(above));
        let path: Arc<str> = path.as_str().into();
        self.touched.insert(Arc::clone(&path), None);
        Ok(Change::Delete { path })
    }

    /// Deletes what nobody needs any more, without a question of permissions: `None` when it is gone already, or has
    /// children.
    pub(super) fn remove(&mut self, path: &Arc<str>) -> Option<Change> {
        let childless = self.facts(path).is_ok_and(|facts| facts.child_count == 0);
        if !childless {
            return None;
        }
        let parent = path::canonical(path::parent(path));
        let mut above = self.facts(parent).ok()?;
        above.child_count -= 1;
        self.touched.insert(parent.into(), Some(above));
        self.touched.insert(Arc::clone(path), None);
        Some(Change::Delete { path: Arc::clone(path) })
    }

    /// Sets the counter from which the sequence numbers of `path`'s children come.
    pub(super) fn set_counter(&mut self, path: &str, children_created: i32) -> Option<Change> {
        let path: Arc<str> = path::canonical(path).into();
        let mut facts = self.facts(&path).ok()?;
        facts.children_created = children_created;
        self.touched.insert(Arc::clone(&path), Some(facts));
        Some(Change::SetCounter { path, children_created })
    }

    /// Path, znode, WRITE, version.
    pub(super) fn set_data(&mut self, request: SetData) -> Result<Change, ErrorCode> {
        let SetData { path, data, version } = request;
        let path = valid(&path)?;
        let mut facts = self.facts(&path)?;
        self.permit(&facts, Permissions::WRITE)?;
        require_version(facts.version, version)?;
        facts.version = facts.version.wrapping_add(1);
        let version = facts.version;
        self.touched.insert(Arc::clone(&path), Some(facts));
        Ok(Change::SetData { path, data: data.map(Into::into), version })
    }

    /// Path, list, znode, ADMIN, version of the list.
    pub(super) fn set_acl(
        &mut self,
        path: &str,
        acl: Option<&[Acl]>,
        version: i32,
    ) -> Result<Change, ErrorCode> {
        let path = valid(path)?;
        let acl = acl::resolve(acl, self.author.identities)?;
        let mut facts = self.facts(&path)?;
        self.permit(&facts, Permissions::ADMIN)?;
        require_version(facts.acl_version, version)?;
        facts.acl_version = facts.acl_version.wrapping_add(1);
        facts.acl = Arc::clone(&acl);
        let version = facts.acl_version;
        self.touched.insert(Arc::clone(&path), Some(facts));
        Ok(Change::SetAcl { path, acl, version })
    }

    /// Path, znode, READ, version.
    pub(super) fn check(&self, request: &Check) -> Result<Change, ErrorCode> {
        let path = valid(&request.path)?;
        let facts = self.facts(&path)?;
        self.permit(&facts, Permissions::READ)?;
        require_version(facts.version, request.version)?;
        Ok(Change::Check)
    }

    /// A create inside a multi: there the flags alone say what is created.
    fn create_part(&mut self, request: Create) -> Result<Change, ErrorCode> {
        let flags = known(request.flags).ok_or(ErrorCode::BAD_ARGUMENTS)?;
        let owner = match time_to_live(request.form, flags)? {
            Some(ttl) => Owner::Ttl(ttl),
            None if is_ephemeral(flags) => Owner::Session(self.author.session),
            None if flags == CreateFlags::CONTAINER => Owner::Children,
            None => Owner::Nobody,
        };
        self.create_owned(request, owner)
    }

    /// After flags and TTL: slash and NUL, list, parent, CREATE on the parent, the whole path, name, ephemeral parent.
    fn create_owned(&mut self, request: Create, owner: Owner) -> Result<Change, ErrorCode> {
        let Create { form: _, path, data, acl, flags } = request;
        if !path.contains('/') || path.contains('\0') {
            return Err(ErrorCode::BAD_ARGUMENTS);
        }
        let acl = acl::resolve(acl.as_deref(), self.author.identities)?;
        let parent = path::canonical(path::parent(&path));
        let mut above = self.facts(parent)?;
        self.permit(&above, Permissions::CREATE)?;
        let acl = self.shared(acl, parent, &above);
        let parent: Arc<str> = parent.into();
        let path = if flags.is_sequential() { path + &sequence(above.children_created) } else { path };
        let path = valid(&path)?;
        if self.facts(&path).is_ok() {
            return Err(ErrorCode::NODE_EXISTS);
        }
        if matches!(above.owner, Owner::Session(_)) {
            return Err(ErrorCode::NO_CHILDREN_FOR_EPHEMERALS);
        }
        above.child_count += 1;
        above.children_created = above.children_created.wrapping_add(1);
        let children_created = above.children_created;
        self.touched.insert(parent, Some(above));
        let facts = Facts {
            acl: Arc::clone(&acl),
            owner,
            version: 0,
            acl_version: 0,
            child_count: 0,
            children_created: 0,
        };
        self.touched.insert(Arc::clone(&path), Some(facts));
        Ok(Change::Create { path, data: data.map(Into::into), acl, owner, children_created })
    }

    /// The list `acl`, in the memory of the parent's or of a sibling's if it is the same: so most znodes have none of their
    /// own.
    fn shared(&self, acl: Arc<[Acl]>, parent: &str, above: &Facts) -> Arc<[Acl]> {
        if above.acl == acl {
            return Arc::clone(&above.acl);
        }
        let sibling = self.tree.get(parent).and_then(|znode| self.tree.get(znode.children.first()?));
        sibling.filter(|sibling| sibling.acl == acl).map_or(acl, |sibling| Arc::clone(&sibling.acl))
    }

    /// What is true of the znode at `path` after the changes so far.
    fn facts(&self, path: &str) -> Result<Facts, ErrorCode> {
        if let Some(facts) = self.touched.get(path) {
            return facts.clone().ok_or(ErrorCode::NO_NODE);
        }
        let path = path::canonical(path);
        if let Some(facts) = self.outstanding.get(path) {
            return facts.clone().ok_or(ErrorCode::NO_NODE);
        }
        let znode = self.tree.get(path).ok_or(ErrorCode::NO_NODE)?;
        Ok(Facts {
            acl: Arc::clone(&znode.acl),
            owner: znode.owner,
            version: znode.version,
            acl_version: znode.acl_version,
            child_count: znode.children.len(),
            children_created: znode.children_created,
        })
    }

    fn permit(&self, facts: &Facts, wanted: Permissions) -> Result<(), ErrorCode> {
        let permitted = acl::is_permitted(&facts.acl, wanted, self.author.identities);
        if permitted { Ok(()) } else { Err(ErrorCode::NO_AUTH) }
    }
}

/// The flags, when they are defined.
pub(super) fn known(flags: CreateFlags) -> Option<CreateFlags> {
    (CreateFlags::PERSISTENT.0..=CreateFlags::TTL_SEQUENTIAL.0).contains(&flags.0).then_some(flags)
}

/// The digits that a sequential create appends. The counter wraps around, and a negative one shows its sign.
fn sequence(children_created: i32) -> String {
    format!("{children_created:010}")
}

/// The time to live of a TTL node, `None` for others. Only one request carries one, and only these flags take it.
fn time_to_live(form: CreateForm, flags: CreateFlags) -> Result<Option<i64>, ErrorCode> {
    let ttl = match form {
        CreateForm::Create | CreateForm::Create2 | CreateForm::Container => -1,
        CreateForm::Ttl { ttl } => ttl,
    };
    match flags {
        CreateFlags::TTL | CreateFlags::TTL_SEQUENTIAL if (1..=TTL_MAX_MS).contains(&ttl) => Ok(Some(ttl)),
        CreateFlags::TTL | CreateFlags::TTL_SEQUENTIAL => Err(ErrorCode::BAD_ARGUMENTS),
        _ if ttl < 0 => Ok(None),
        _ => Err(ErrorCode::BAD_ARGUMENTS),
    }
}

fn is_ephemeral(flags: CreateFlags) -> bool {
    matches!(flags, CreateFlags::EPHEMERAL | CreateFlags::EPHEMERAL_SEQUENTIAL)
}

fn is_permanent(path: &str) -> bool {
    matches!(path, "/" | "/zookeeper" | "/zookeeper/quota" | "/zookeeper/config")
}

fn valid(path: &str) -> Result<Arc<str>, ErrorCode> {
    if path::is_valid(path) { Ok(path.into()) } else { Err(ErrorCode::BAD_ARGUMENTS) }
}

fn require_version(actual: i32, wanted: i32) -> Result<(), ErrorCode> {
    if wanted == -1 || wanted == actual { Ok(()) } else { Err(ErrorCode::BAD_VERSION) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_are_signed_32_bit_in_ten_columns() {
        for (counter, digits) in [
            (0, "0000000000"),
            (42, "0000000042"),
            (i32::MAX, "2147483647"),
            (i32::MIN, "-2147483648"),
            (-1, "-000000001"),
        ] {
            assert_eq!(sequence(counter), digits);
        }
    }
}
