//! `hedgerow config`.

use node::{api::types::SettingInForce, config::Effective};

use crate::{
    args::Config,
    client::Client,
    exit::{Code, Failure},
    output::Output,
};

pub(crate) async fn run(command: Config, client: &Client, output: &Output) -> Result<(), Failure> {
    let Config::Show = command;
    let settings: Vec<SettingInForce> = match client.get("/api/v1/config").await {
        Ok(settings) => settings,
        // Without a node, what a node started now would use.
        Err(failure) if failure.code == Code::NotRunning => {
            let variable = |name: &str| std::env::var(name).ok();
            Effective::load(&client.home().config_file(), variable, &[])
                .map_err(Failure::usage)?
                .in_force()
        }
        Err(failure) => return Err(failure),
    };
    output.result(&settings, |out| {
        for setting in &settings {
            writeln!(
                out,
                "{:26} {:10} {}",
                setting.key, setting.value, setting.origin
            )?;
        }
        Ok(())
    })
}
