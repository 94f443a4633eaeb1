//! What a look at a stack knows: the template that it stands by, what the profile asks for, and what is made so far.

use std::collections::BTreeMap;

use super::drift::{Drift, Told};
use super::look::Look;
use super::resource::site;
use super::wanted::{Planned, Standing, addresses, planned};
use crate::base::Fault;
use crate::engine::{Output, Outputs};
use crate::providers::eks::outputs::{LAUNCH_TEMPLATE_CHANGES, Published};
use crate::providers::eks::stack::{LiveStack, Phase};
use crate::providers::eks::template::{
    CONTENT, LOG_GROUP, RENEWED, Renewed, Template, VPC, ZONES, Zone, carry_auto_mode, launch_template, read,
    version_of,
};

impl Look<'_> {
    /// The stack that the profile asks for, and the template that it stands by.
    pub(super) async fn planned(&self) -> Result<(Planned, Option<Template>), Fault> {
        if let Some(planned) = self.as_told().await? {
            let live = planned.template.clone();
            return Ok((planned, Some(live)));
        }
        let live = self.template().await?;
        Ok((self.planned_in(&self.stands(live.as_ref())).await?, live))
    }

    /// What of the stack that stands by the template `live` decides how it goes on.
    pub(super) fn stands(&self, live: Option<&Template>) -> Standing {
        Standing {
            zones: self.zones(live),
            logs: live.is_some_and(|live| live.resources().contains_key(LOG_GROUP)),
            renewed: live.map(Template::renewed).unwrap_or_default(),
        }
    }

    /// What of the network is gone though the stack has it. What this run changed may not be shown yet.
    pub(super) async fn drift(&self, live: &Template) -> Result<Drift, Fault> {
        let inner = &self.resource.inner;
        match self.stack.outputs.get(VPC) {
            Some(vpc) if inner.run().moves == 0 => {
                let (stack, outputs) = (inner.names.stack(), &self.stack.outputs);
                let region = self.aws.region();
                let told = Told { stack, region, vpc, template: live, outputs, is_fresh: self.is_fresh };
                Drift::ask(&told, self.aws, self.flow).await
            }
            _ => Ok(Drift::default()),
        }
    }

    /// Tells the node groups whose launch templates the update is to change: their nodes are made anew.
    pub(super) fn tell_rolled(&self, planned: &Planned, live: &Template, outputs: &mut Outputs) {
        let data = |template: &Template, id: &str| {
            template.resources().get(id).map(|one| one["Properties"]["LaunchTemplateData"].clone())
        };
        for machines in &planned.blueprint.machines {
            let id = launch_template(&machines.group);
            let is_changed = data(live, &id).is_some_and(|was| Some(was) != data(&planned.template, &id));
            let version = self.stack.outputs.get(&version_of(&id)).filter(|_| is_changed);
            let key = format!("{LAUNCH_TEMPLATE_CHANGES}{}", machines.group);
            outputs.insert(key, Output::Text(version.cloned().unwrap_or_default()));
        }
    }

    /// The `planned` stack with what of `live` left the profile and is still in use, where `made` tells the id of each
    /// thing.
    pub(super) async fn keeping(
        &self,
        planned: Planned,
        live: Option<&Template>,
        made: &BTreeMap<String, String>,
    ) -> Result<Planned, Fault> {
        let inner = &self.resource.inner;
        let Some(live) = live else { return Ok(planned) };
        let kept = inner.in_use(live, &planned.template, made, self.aws, self.flow).await?;
        inner.run().kept.clone_from(&kept);
        if kept.is_empty() {
            return Ok(planned);
        }
        let Planned { blueprint, mut template, .. } = planned;
        for part in &kept {
            template.keep(&part.logical, live);
        }
        Planned::new(blueprint, template, &inner.environment)
    }

    /// The stack that the profile asks for, where its outputs tell that it stands by that very template: then the
    /// template itself is not asked for, which is a request of every look. Of one that somebody else edited without
    /// its outputs nothing is seen before the profile changes.
    async fn as_told(&self) -> Result<Option<Planned>, Fault> {
        let told = &self.stack.outputs;
        let (Phase::Whole, Some(content)) = (self.stack.phase(), told.get(CONTENT)) else { return Ok(None) };
        let zones = told.get(ZONES).map(|text| read(text)).unwrap_or_default();
        let owns = self.resource.inner.spec.network.subnets.is_empty();
        if owns == zones.is_empty() {
            return Ok(None);
        }
        let renewed = told.get(RENEWED).map(|text| Renewed::read(text)).unwrap_or_default();
        let standing = Standing { zones, logs: told.contains_key(LOG_GROUP), renewed };
        let planned = self.planned_in(&standing).await?;
        Ok((planned.template.content() == Some(content.as_str())).then_some(planned))
    }

    /// The stack that the profile asks for where this is standing.
    pub(super) async fn planned_in(&self, standing: &Standing) -> Result<Planned, Fault> {
        let inner = &self.resource.inner;
        planned(&inner.environment, &inner.spec, site(self.aws), standing, self.aws, self.flow).await
    }

    /// The template, read once for each state of the stack.
    pub(super) async fn template(&self) -> Result<Option<Template>, Fault> {
        let LiveStack { id, changed, status, .. } = &self.stack;
        let key = format!("{id} {changed} {status}");
        if let Some((known, template)) = &self.resource.inner.run().template
            && *known == key
        {
            return Ok(Some(template.clone()));
        }
        let template = self.calls.template().await?;
        self.resource.inner.run().template = template.clone().map(|template| (key, template));
        Ok(template)
    }

    fn zones(&self, live: Option<&Template>) -> Vec<Zone> {
        match (live, addresses(&self.resource.inner.spec)) {
            (Some(live), Ok(addresses)) => live.zones(&addresses),
            _ => Vec::new(),
        }
    }

    /// What is made so far, for the others.
    pub(super) async fn published(&self, made: &BTreeMap<String, String>) -> Result<Outputs, Fault> {
        let (planned, live) = self.planned().await?;
        let standing = self.zones(live.as_ref());
        let mut published = planned.blueprint.published(&standing, made);
        self.resource.inner.auto_mode.tell(self.carries_auto_mode(live.as_ref(), &published));
        if let Some(borrowed) = self.resource.inner.borrowed(self.aws, self.flow).await? {
            published.vpc = Some(borrowed.vpc.clone());
            published.private.clone_from(&borrowed.subnets);
            published.nodes.clone_from(&borrowed.subnets);
        }
        Ok(published.outputs())
    }

    /// Whether the roles of Auto Mode are as its template says. Of a stack that is being changed no status tells
    /// which of its resources were changed already.
    fn carries_auto_mode(&self, live: Option<&Template>, published: &Published) -> bool {
        let roles_are_settled = match self.stack.phase() {
            Phase::Whole => true,
            Phase::Moving => {
                matches!(
                    self.stack.status.as_str(),
                    "CREATE_IN_PROGRESS" | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
                )
            }
            _ => false,
        };
        let are_made = published.cluster_role.is_some() && published.node_role.is_some();
        roles_are_settled && are_made && live.is_some_and(carry_auto_mode)
    }
}
