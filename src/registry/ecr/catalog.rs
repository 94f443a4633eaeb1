use aws_sdk_ecr::types::ImageDetail;
use serde::Serialize;

use super::calls::Calls;
use super::look::{self, AT_ONCE};
use super::wanted::wanted;
use crate::base::Fault;
use crate::clouds::aws::{Refusal, Session, fault};
use crate::flow::{Flow, Tally};
use crate::profile::Environment;
use crate::profile::schema::EcrRegistry;

/// A repository and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repository {
    /// `checkout/api`
    pub name: String,
    /// The tags of its images, the newest first.
    pub tags: Vec<String>,
    /// How many images have no tag.
    pub untagged: usize,
    /// What all images take, in bytes, as far as they share nothing.
    pub bytes: u64,
}

/// The host of the registry, and the repositories of `environment` in it with their images.
pub async fn repositories(
    environment: &Environment,
    spec: &EcrRegistry,
    session: &Session,
    flow: &Flow,
) -> Result<(String, Vec<Repository>), Fault> {
    let calls = Calls::open(session, flow).await?;
    let wanted = wanted(environment, spec, session.region());
    let names = look::ours(&calls, &wanted, &environment.owner).await?;
    let names: Vec<String> = names.into_iter().collect();
    let mut tally = Tally::new(names.len(), "repositories");
    let calls = &calls;
    let found = flow.each(names, AT_ONCE, &mut tally, |name| async move {
        let mut images = images(calls, &name).await?;
        images.sort_by_key(|image| {
            std::cmp::Reverse(image.image_pushed_at().map(aws_smithy_types::DateTime::secs))
        });
        Ok(summed(name, &images))
    });
    Ok((calls.host(), found.await?))
}

fn summed(name: String, images: &[ImageDetail]) -> Repository {
    let sizes = images.iter().filter_map(|image| u64::try_from(image.image_size_in_bytes()?).ok());
    Repository {
        name,
        tags: images.iter().flat_map(|image| image.image_tags().iter().cloned()).collect(),
        untagged: images.iter().filter(|image| image.image_tags().is_empty()).count(),
        bytes: sizes.sum(),
    }
}

async fn images(calls: &Calls, name: &str) -> Result<Vec<ImageDetail>, Fault> {
    let mut pages = calls.ecr.describe_images().repository_name(name).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => found.extend(page.image_details.unwrap_or_default()),
            Err(error) if Refusal::of(&error).is_absent() => break,
            Err(error) => return Err(fault(format!("list the images of {name}"), &error)),
        }
    }
    Ok(found)
}
