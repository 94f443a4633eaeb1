use std::time::Duration;

use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::kwok::render_kubeconfig;
use crate::base::ClusterAccess;

/// Whether the API server says that it is ready; else why not.
pub(super) async fn ready(access: &ClusterAccess) -> Result<(), String> {
    let words = |error: kube::Error| error.to_string();
    let text = render_kubeconfig(access, "probe").ok_or("no client certificate")?;
    let kubeconfig = Kubeconfig::from_yaml(&text).map_err(|error| error.to_string())?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|error| error.to_string())?;
    config.connect_timeout = Some(Duration::from_secs(2));
    config.read_timeout = Some(Duration::from_secs(5));
    config.default_retry = false;
    let client = Client::try_from(config).map_err(words)?;
    let request = Request::get("/readyz").body(Vec::new()).map_err(|error| error.to_string())?;
    client.request_text(request).await.map(|_| ()).map_err(words)
}
