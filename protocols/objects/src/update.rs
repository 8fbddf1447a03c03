//! Updates: what must hold, and what is then done, all or nothing (J17).

use bytes::Bytes;
use cid::Cid;

use crate::Version;

/// Clauses of an update at most.
pub const MAX_CLAUSES: usize = 16;

/// Predicates of a clause at most, and actions.
pub const MAX_STEPS: usize = 16;

/// What to do to an object, and on which conditions.
#[derive(Clone, Debug, Default)]
pub struct Update {
    /// The first whose predicates all hold is carried out.
    pub clauses: Vec<Clause>,
}

/// Actions, and what must hold for them.
#[derive(Clone, Debug, Default)]
pub struct Clause {
    /// All must hold.
    pub predicates: Vec<Predicate>,
    /// One after the other; together they make one version.
    pub actions: Vec<Action>,
}

/// Something that holds or does not.
#[derive(Clone, Debug)]
pub enum Predicate {
    /// The newest version has this number; 0: there is none, or it is a removal.
    Version(u64),
    /// The newest version is this record.
    Vguid(Cid),
    /// The content has so many bytes.
    Size(u64),
    /// The raw leaf of the file that begins at the offset is this block.
    Block {
        /// Where it begins.
        offset: u64,
        /// Its CID.
        cid: Cid,
    },
}

/// Something that is done.
#[derive(Clone, Debug)]
pub enum Action {
    /// The content is this file or directory, all of whose blocks are stored.
    Set(Cid),
    /// Bytes of the file are replaced.
    Splice {
        /// Where; none: at the end.
        offset: Option<u64>,
        /// How many go.
        delete: u64,
        /// What comes.
        insert: Insert,
    },
    /// The content is that of another version of the object.
    Restore(Version),
    /// The object is removed.
    Remove,
    /// More is said of the version, in this DAG-CBOR block, which is stored (J20).
    Describe(Cid),
}

/// What comes into a file.
#[derive(Clone, Debug)]
pub enum Insert {
    /// Nothing.
    Nothing,
    /// Bytes.
    Bytes(Bytes),
    /// The content of a file.
    File(Cid),
}

impl Update {
    /// An update with one clause.
    pub fn when(predicates: Vec<Predicate>, actions: Vec<Action>) -> Update {
        Update {
            clauses: vec![Clause {
                predicates,
                actions,
            }],
        }
    }

    /// Whether it is within its bounds.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.clauses.is_empty() || self.clauses.len() > MAX_CLAUSES {
            return Err(format!("it has 1 to {MAX_CLAUSES} clauses"));
        }
        for clause in &self.clauses {
            let (ifs, actions) = (clause.predicates.len(), clause.actions.len());
            if ifs > MAX_STEPS || actions == 0 || actions > MAX_STEPS {
                return Err(format!(
                    "a clause has at most {MAX_STEPS} predicates and 1 to {MAX_STEPS} actions"
                ));
            }
        }
        Ok(())
    }
}

impl From<Insert> for unixfs::Insert {
    fn from(insert: Insert) -> unixfs::Insert {
        match insert {
            Insert::Nothing => unixfs::Insert::Nothing,
            Insert::Bytes(bytes) => unixfs::Insert::Bytes(bytes),
            Insert::File(cid) => unixfs::Insert::File(cid),
        }
    }
}
