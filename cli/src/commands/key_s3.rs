//! `hedgerow key s3`.

use bytes::Bytes;
use http::Method;
use node::api::types::{S3Key, S3KeyMade, S3KeyRequest};

use super::segment;
use crate::{args::KeyS3, client::Client, exit::Failure, output::Output};

pub(crate) async fn run(command: KeyS3, client: &Client, output: &Output) -> Result<(), Failure> {
    match command {
        KeyS3::Create { label } => {
            let request = S3KeyRequest { label };
            let made: S3KeyMade = client
                .send_json(Method::POST, "/api/v1/s3/keys", &request)
                .await?;
            output.result(&made, |out| write!(out, "{}", lines(&made)))
        }
        KeyS3::Ls => {
            let keys: Vec<S3Key> = client.get("/api/v1/s3/keys").await?;
            output.result(&keys, |out| {
                for key in &keys {
                    writeln!(out, "{}  {}", key.access_key, key.label)?;
                }
                Ok(())
            })
        }
        KeyS3::Rm { access_key } => {
            let path = format!("/api/v1/s3/keys/{}", segment(&access_key));
            client
                .call(Method::DELETE, &path, Bytes::new(), None)
                .await?;
            Ok(())
        }
    }
}

/// The key, and what to write where for the programs that people have.
fn lines(made: &S3KeyMade) -> String {
    let S3KeyMade {
        access_key,
        secret_key,
        endpoint,
        region,
        ..
    } = made;
    let host = endpoint.trim_start_matches("http://");
    format!(
        "\
access key  {access_key}
secret key  {secret_key}
endpoint    {endpoint}
region      {region}

The secret is not shown again.

# aws, boto3 and most others: the environment
export AWS_ACCESS_KEY_ID={access_key}
export AWS_SECRET_ACCESS_KEY={secret_key}
export AWS_ENDPOINT_URL_S3={endpoint}
export AWS_REGION={region} AWS_DEFAULT_REGION={region}

# rclone: rclone.conf
[hedgerow]
type = s3
provider = Other
access_key_id = {access_key}
secret_access_key = {secret_key}
endpoint = {endpoint}
region = {region}
force_path_style = true

# s3cmd: .s3cfg
[default]
access_key = {access_key}
secret_key = {secret_key}
host_base = {host}
host_bucket = {host}
bucket_location = {region}
use_https = False
"
    )
}
