//! What a signature has to be and to cover before the library looks at it (K13, K14).
//!
//! The library knows signatures of version 2, which say nothing of headers and bodies, those
//! for another service, whose body it reads into memory first, and takes a request of which
//! only some headers are signed.

use axum::extract::Query;
use http::{HeaderMap, Uri, header};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What a signature says of itself.
struct Signature<'a> {
    /// Access key, date, region, service and an end that is always the same.
    scope: &'a str,
    /// The headers that it covers.
    headers: &'a str,
}

/// Refuses a request whose signature is none, or does not cover what it has to.
pub(super) fn check(uri: &Uri, headers: &HeaderMap) -> S3Result<()> {
    // As the library decodes it.
    let query = Query::<Vec<(String, String)>>::try_from_uri(uri);
    let Query(query) = query.map_err(|_| s3_error!(InvalidURI, "the query is not readable"))?;
    let asks = |wanted: &str| query.iter().any(|(name, _)| name == wanted);
    if asks("Signature") || asks("AWSAccessKeyId") {
        return Err(other_signature());
    }
    let mut authorizations = headers.get_all(header::AUTHORIZATION).iter();
    let authorization = authorizations.next();
    let is_link = asks("X-Amz-Signature");
    if authorizations.next().is_some() || authorization.is_some() && is_link {
        return Err(s3_error!(
            InvalidRequest,
            "the request is signed more than once"
        ));
    }
    let signature = match authorization {
        Some(value) => by_header(value.to_str().unwrap_or_default())?,
        None if is_link => by_link(&query)?,
        None => {
            return Err(s3_error!(
                AccessDenied,
                "the request is not signed: make an access key with `hedgerow key s3 create`"
            ));
        }
    };
    covers(&signature, headers, is_link)
}

fn covers(signature: &Signature<'_>, headers: &HeaderMap, is_link: bool) -> S3Result<()> {
    let scope: Vec<&str> = signature.scope.split('/').collect();
    let [_, _, _, service, _] = scope[..] else {
        return Err(malformed(is_link));
    };
    if service != "s3" {
        return Err(s3_error!(
            AccessDenied,
            "the request is signed for another service than s3"
        ));
    }
    let signed = |name: &str| signature.headers.split(';').any(|signed| signed == name);
    if !signed("host") {
        return Err(s3_error!(AccessDenied, "the header host is not signed"));
    }
    // Whoever makes a link does not know what will be sent by it; of a hash that is sent the
    // body is compared with it.
    let may_be_unsigned = |name: &str| is_link && name == "x-amz-content-sha256";
    let unsigned = headers
        .keys()
        .map(header::HeaderName::as_str)
        .find(|name| name.starts_with("x-amz-") && !signed(name) && !may_be_unsigned(name));
    match unsigned {
        None => Ok(()),
        Some(name) => Err(S3Error::with_message(
            S3ErrorCode::AccessDenied,
            format!("the header {name} is not signed"),
        )),
    }
}

/// The signature of a header, which the library reads in this order too.
fn by_header(text: &str) -> S3Result<Signature<'_>> {
    let (algorithm, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    if algorithm != ALGORITHM {
        return Err(other_signature());
    }
    let parts = || {
        let rest = rest.trim_start().strip_prefix("Credential=")?;
        let (scope, rest) = rest.split_once(',')?;
        let rest = rest.trim_start().strip_prefix("SignedHeaders=")?;
        let (headers, _) = rest.split_once(',')?;
        Some(Signature { scope, headers })
    };
    parts().ok_or_else(|| malformed(false))
}

/// The signature of a link.
fn by_link(query: &[(String, String)]) -> S3Result<Signature<'_>> {
    let only = |wanted: &str| {
        let mut found = query.iter().filter(|(name, _)| name == wanted);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value.as_str())
    };
    let parts = || {
        Some(Signature {
            scope: only("X-Amz-Credential")?,
            headers: only("X-Amz-SignedHeaders")?,
        })
    };
    parts().ok_or_else(|| malformed(true))
}

fn malformed(is_link: bool) -> S3Error {
    match is_link {
        true => s3_error!(
            AuthorizationQueryParametersError,
            "the link has no credential or signed headers, or more than one"
        ),
        false => s3_error!(
            AuthorizationHeaderMalformed,
            "the header authorization has no credential or no signed headers"
        ),
    }
}

fn other_signature() -> S3Error {
    S3Error::with_message(
        S3ErrorCode::InvalidRequest,
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    )
}
