//! Updates as JSON (J17 of `docs/specs/objects.md`).

use data_encoding::BASE64;
use objects::{Action, Clause, Insert, Predicate, Update, Version};

use super::{
    blocks::parse_cid,
    failure::ApiError,
    types::{UpdateAction, UpdateInsert, UpdatePredicate, UpdateRequest},
};

/// Reads an update. Its bounds are checked by whoever carries it out.
pub(super) fn read_update(request: UpdateRequest) -> Result<Update, ApiError> {
    let clauses = request.clauses.into_iter().map(|clause| {
        let predicates = clause.predicates.into_iter().map(read_predicate);
        let actions = clause.actions.into_iter().map(read_action);
        Ok(Clause {
            predicates: predicates.collect::<Result<_, ApiError>>()?,
            actions: actions.collect::<Result<_, ApiError>>()?,
        })
    });
    Ok(Update {
        clauses: clauses.collect::<Result<_, ApiError>>()?,
    })
}

fn read_predicate(predicate: UpdatePredicate) -> Result<Predicate, ApiError> {
    Ok(match predicate {
        UpdatePredicate::Version(number) => Predicate::Version(number),
        UpdatePredicate::Vguid(vguid) => Predicate::Vguid(parse_cid(&vguid)?),
        UpdatePredicate::Size(size) => Predicate::Size(size),
        UpdatePredicate::Block { offset, cid } => Predicate::Block {
            offset,
            cid: parse_cid(&cid)?,
        },
    })
}

fn read_action(action: UpdateAction) -> Result<Action, ApiError> {
    Ok(match action {
        UpdateAction::Set(cid) => Action::Set(parse_cid(&cid)?),
        UpdateAction::Remove => Action::Remove,
        UpdateAction::Restore(text) => {
            let number = text.strip_prefix('v').unwrap_or(&text).parse();
            Action::Restore(match number {
                Ok(number) => Version::Number(number),
                Err(_) => Version::Vguid(parse_cid(&text)?),
            })
        }
        UpdateAction::Splice {
            offset,
            delete,
            insert,
        } => Action::Splice {
            offset,
            delete,
            insert: match insert {
                None => Insert::Nothing,
                Some(UpdateInsert::File(cid)) => Insert::File(parse_cid(&cid)?),
                Some(UpdateInsert::Bytes(text)) => {
                    let bytes = BASE64.decode(text.as_bytes()).map_err(|error| {
                        ApiError::bad_request(format!("the bytes are not base64: {error}"))
                    })?;
                    Insert::Bytes(bytes.into())
                }
            },
        },
    })
}
