use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::{Capability, Stack, Tag};

use super::live::{LiveResource, LiveStack};
use super::reason::StackEvent;
use crate::base::Fault;
use crate::clouds::aws::{Aws, Refusal};
use crate::flow::Flow;
use crate::providers::eks::template::Template;

/// The calls about the one stack of an environment.
pub struct Calls {
    client: Client,
    name: String,
}

/// What a stack is to be.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its template as JSON.
    pub template: String,
    /// Its tags, which `CloudFormation` gives to what it makes.
    pub tags: BTreeMap<String, String>,
    /// Whether AWS shall refuse to delete it.
    pub protected: bool,
}

impl Calls {
    /// Calls about the stack `name`.
    pub fn new(aws: &Aws, flow: &Flow, name: impl Into<String>) -> Self {
        Self { client: aws.cloudformation(flow), name: name.into() }
    }

    /// The stack, if there is one.
    pub async fn stack(&self) -> Result<Option<LiveStack>, Fault> {
        let answer = self.client.describe_stacks().stack_name(&self.name).send().await;
        match answer.map_err(Refusal::from) {
            Ok(answer) => Ok(answer.stacks().first().map(live)),
            Err(refusal) if refusal.is_absent() => Ok(None),
            Err(refusal) => Err(self.refused("look at", &refusal)),
        }
    }

    /// The template that it stands by, or is on its way to; `None` when it cannot be read.
    pub async fn template(&self) -> Result<Option<Template>, Fault> {
        let answer = self.client.get_template().stack_name(&self.name).send().await;
        match answer.map_err(Refusal::from) {
            Ok(answer) => Ok(answer.template_body().and_then(Template::parse)),
            Err(refusal) if refusal.is_absent() => Ok(None),
            Err(refusal) => Err(self.refused("read the template of", &refusal)),
        }
    }

    /// Its resources.
    pub async fn resources(&self) -> Result<Vec<LiveResource>, Fault> {
        let mut pages = self.client.list_stack_resources().stack_name(&self.name).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = match page.map_err(Refusal::from) {
                Ok(page) => page,
                Err(refusal) if refusal.is_absent() => return Ok(Vec::new()),
                Err(refusal) => return Err(self.refused("list the resources of", &refusal)),
            };
            found.extend(page.stack_resource_summaries().iter().map(|resource| LiveResource {
                logical: resource.logical_resource_id().unwrap_or_default().to_string(),
                physical: resource.physical_resource_id().map(str::to_string).filter(|id| !id.is_empty()),
                kind: resource.resource_type().unwrap_or_default().to_string(),
                status:
                    resource.resource_status().map(|status| status.as_str().to_string()).unwrap_or_default(),
            }));
        }
        Ok(found)
    }

    /// What happened in its last operation, the newest first.
    pub async fn events(&self) -> Result<Vec<StackEvent>, Fault> {
        let mut pages = self.client.describe_stack_events().stack_name(&self.name).into_paginator().send();
        let mut found: Vec<StackEvent> = Vec::new();
        while let Some(page) = pages.next().await {
            let page = match page.map_err(Refusal::from) {
                Ok(page) => page,
                Err(refusal) if refusal.is_absent() => return Ok(found),
                Err(refusal) => return Err(self.refused("read what happened in", &refusal)),
            };
            for event in page.stack_events() {
                let event = StackEvent {
                    logical: event.logical_resource_id().unwrap_or_default().to_string(),
                    kind: event.resource_type().unwrap_or_default().to_string(),
                    status: event.resource_status().map(|one| one.as_str().to_string()).unwrap_or_default(),
                    reason: event.resource_status_reason().map(str::to_string),
                    of_stack: event.stack_id().is_some() && event.stack_id() == event.physical_resource_id(),
                };
                let is_first = event.begins();
                found.push(event);
                if is_first {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    /// Begins to make it. One of its name that is there already is no failure: the next look tells whose it is.
    ///
    /// If this dies right after the call, the stack goes on, and the next run finds it by its name.
    pub async fn create(&self, wanted: &Wanted) -> Result<(), Fault> {
        let call = self
            .client
            .create_stack()
            .stack_name(&self.name)
            .template_body(&wanted.template)
            .set_tags(Some(tags(wanted)))
            .capabilities(Capability::CapabilityNamedIam)
            // What was made before a failure is in use already: it must not be taken back.
            .disable_rollback(true)
            .enable_termination_protection(wanted.protected)
            .client_request_token(token());
        match call.send().await.map_err(Refusal::from) {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is("AlreadyExistsException") || is_repeated(&refusal) => Ok(()),
            Err(refusal) => Err(self.refused("make", &refusal)),
        }
    }

    /// Begins to bring it to what is `wanted`, also from where it stopped.
    ///
    /// If this dies right after the call, the update goes on, and the next run waits for it.
    pub async fn update(&self, wanted: &Wanted) -> Result<(), Fault> {
        let call = self
            .client
            .update_stack()
            .stack_name(&self.name)
            .template_body(&wanted.template)
            .set_tags(Some(tags(wanted)))
            .capabilities(Capability::CapabilityNamedIam)
            .disable_rollback(true)
            .client_request_token(token());
        match call.send().await.map_err(Refusal::from) {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.says("no updates are to be performed") => Ok(()),
            Err(refusal) if is_busy(&refusal) || is_repeated(&refusal) => Ok(()),
            Err(refusal) => Err(self.refused("update", &refusal)),
        }
    }

    /// Begins to take an update back further that somebody else took back half, without the resources `skipped`.
    pub async fn take_back(&self, skipped: Vec<String>) -> Result<(), Fault> {
        let call = self.client.continue_update_rollback().stack_name(&self.name);
        let call = call.set_resources_to_skip((!skipped.is_empty()).then_some(skipped));
        match call.client_request_token(token()).send().await.map_err(Refusal::from) {
            Ok(_) => Ok(()),
            Err(refusal) if is_busy(&refusal) || is_repeated(&refusal) => Ok(()),
            Err(refusal) => Err(self.refused("go on taking back the update of", &refusal)),
        }
    }

    /// Lets AWS refuse to delete it, or not.
    pub async fn protect(&self, protected: bool) -> Result<(), Fault> {
        let call = self.client.update_termination_protection().stack_name(&self.name);
        let call = call.enable_termination_protection(protected).send().await;
        match call.map_err(Refusal::from) {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is_absent() => Ok(()),
            Err(refusal) => Err(self.refused("set the termination protection of", &refusal)),
        }
    }

    /// Begins to delete it.
    ///
    /// If this dies right after the call, the deletion goes on; the next one is another of the same kind.
    pub async fn delete(&self) -> Result<(), Fault> {
        let call = self.client.delete_stack().stack_name(&self.name).client_request_token(token());
        match call.send().await.map_err(Refusal::from) {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is_absent() || is_busy(&refusal) || is_repeated(&refusal) => Ok(()),
            Err(refusal) => Err(self.refused("delete", &refusal)),
        }
    }

    fn refused(&self, verb: &str, refusal: &Refusal) -> Fault {
        refusal.fault(format!("{verb} stack `{}`", self.name))
    }
}

/// Whether it is on its way already: then that is waited for.
fn is_busy(refusal: &Refusal) -> bool {
    refusal.is("OperationInProgressException")
        || (refusal.is("ValidationError") && refusal.says("_IN_PROGRESS state"))
        || (refusal.is("ValidationError") && refusal.says("cannot be deleted while in status"))
}

/// Whether this very request was accepted before.
fn is_repeated(refusal: &Refusal) -> bool {
    refusal.is("TokenAlreadyExistsException")
}

fn live(stack: &Stack) -> LiveStack {
    let moment = stack.last_updated_time().or(stack.creation_time());
    let pair = |key: Option<&str>, value: Option<&str>| {
        Some((key?.to_string(), value.unwrap_or_default().to_string()))
    };
    LiveStack {
        id: stack.stack_id().unwrap_or_default().to_string(),
        status: stack.stack_status().map(|status| status.as_str().to_string()).unwrap_or_default(),
        reason: stack.stack_status_reason().map(str::to_string),
        changed: moment.map(ToString::to_string).unwrap_or_default(),
        tags: stack.tags().iter().filter_map(|tag| pair(tag.key(), tag.value())).collect(),
        outputs: stack
            .outputs()
            .iter()
            .filter_map(|output| pair(output.output_key(), output.output_value()))
            .collect(),
        protected: stack.enable_termination_protection().unwrap_or_default(),
    }
}

fn tags(wanted: &Wanted) -> Vec<Tag> {
    wanted.tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// A token that no other call has: the SDK sends it with each repetition of the same call, and AWS does it once.
fn token() -> String {
    // The standard library's hashers are seeded by the operating system, each anew.
    let random = || RandomState::new().build_hasher().finish();
    format!("berth-{:016x}{:016x}", random(), random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_calls_have_the_same_token() {
        let tokens: std::collections::BTreeSet<String> = (0..100).map(|_| token()).collect();
        assert_eq!(tokens.len(), 100);
    }
}
