//! Plan `churn`: nodes come and go.

use crate::load::survive;
use crate::team::Team;

/// Case `sessions`: nothing acknowledged is lost, and the ring is whole when they stay.
pub(crate) async fn run(team: Team) -> anyhow::Result<()> {
    survive(&team).await.map(drop)
}
