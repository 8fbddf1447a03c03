//! `hedgerow cache ca`.

use std::time::{Duration, SystemTime};

use node::api::types::WebCacheAuthority;

use crate::{client::Client, exit::Failure, output::Output};

/// The certificate as a result; beside it what it means to trust it, and how that is done and
/// undone.
pub(crate) async fn run(client: &Client, output: &Output) -> Result<(), Failure> {
    let authority: WebCacheAuthority = client.get("/api/v1/webcache/authority").await?;
    output.say(advice(&authority));
    output.result(&authority, |out| write!(out, "{}", authority.certificate))
}

fn advice(authority: &WebCacheAuthority) -> String {
    let until = SystemTime::UNIX_EPOCH + Duration::from_secs(authority.until);
    let until = humantime::format_rfc3339_seconds(until).to_string();
    let day = until.split('T').next().unwrap_or(&until);
    let hosts = authority.hosts.join(" ");
    let first = authority
        .hosts
        .first()
        .map_or("example.org", String::as_str);
    let first = first.trim_start_matches("*.");
    format!(
        "\
WARNING: this node reads what clients that trust this certificate send to these hosts and get from
them, passwords and cookies too:
  {hosts}
What is public of it is kept, and shared with other nodes. Have only programs of your own trust it,
on this machine. It can vouch for names at and below these hosts only. It is another one once other
hosts are listed, and after {day}.
SHA-256 {sha256}

Keep it:    hedgerow cache ca > hedgerow-ca.pem
All of these need the proxy too: https_proxy=http://127.0.0.1:PORT (hedgerow cache stats says PORT).

To trust it, and to undo that:
  curl      --cacert hedgerow-ca.pem                    nothing to undo
  pip       pip config set global.cert FILE             pip config unset global.cert
  npm       export NODE_EXTRA_CA_CERTS=FILE             unset NODE_EXTRA_CA_CERTS
  git       git config --global http.https://{first}/.sslCAInfo FILE
                                                        git config --global --unset http.https://{first}/.sslCAInfo
  Firefox   Settings, Certificates, View Certificates, Authorities, Import: to identify websites
                                                        there: Delete or Distrust
  Debian    as root: cp FILE /usr/local/share/ca-certificates/hedgerow.crt && update-ca-certificates
                                                        rm that file && update-ca-certificates --fresh
  Fedora    as root: cp FILE /etc/pki/ca-trust/source/anchors/hedgerow.pem && update-ca-trust
                                                        rm that file && update-ca-trust
With curl and pip it takes the place of the others: they then reach these hosts alone.
To stop it: take the hosts out of webcache.intercept and start the node again; the key is removed
then. Take the certificate out of the programs as well.
",
        sha256 = authority.sha256,
    )
}
