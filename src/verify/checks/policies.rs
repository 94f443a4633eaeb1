use super::super::attempt::Canary;
use super::super::check::Found;
use super::super::policy::{Truth, probe};
use crate::base::Fault;

/// Whether a denied connection is denied and an allowed one is not, with what that says of the cluster.
pub(in crate::verify) async fn policies(canary: &Canary<'_>) -> Result<(Found, Truth), Fault> {
    let truth = probe(canary).await?;
    let found = match &truth {
        Truth::Enforced(how) => Found::works(format!(
            "what a policy allows connects, what it denies does not ({})",
            how.to_lowercase()
        )),
        Truth::NotEnforced => Found::fails(
            "what a policy denies connects: tenants are isolated on paper only",
            "use a network plugin that enforces NetworkPolicy objects, or switch that on in yours",
        ),
        Truth::NotKnown(why) => {
            Found::fails(format!("it could not be told: {why}"), "solve that, then verify again")
        }
    };
    Ok((found, truth))
}
