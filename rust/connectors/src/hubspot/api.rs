//! Requests to HubSpot, what its answers mean, and what is asked once for each connector.

use super::objects::{CustomSchema, Object, STANDARD};
use super::schema::Property;
use lakeflow_core::{Context, Error, Result};
use lakeflow_http::rest::if_permitted;
use lakeflow_http::{Auth, Budget, Client, ErrorReply, Request, Verdict, Wait, path};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const TEN_SECONDS: Duration = Duration::from_secs(10);

pub(super) struct Api {
    pub(super) client: Client,
    known: Mutex<Known>,
}

/// What was asked before.
#[derive(Default)]
struct Known {
    custom: Option<Arc<[Object]>>,
    properties: HashMap<String, Arc<[Property]>>,
}

#[derive(Deserialize)]
struct List<T> {
    results: Vec<T>,
}

impl Api {
    /// A client for the account that the token belongs to.
    pub(super) fn new(context: &Context) -> Result<Self> {
        let settings = &context.settings;
        let allowed = |option| {
            let allowed = settings.integer(option).and_then(|n| u32::try_from(n).ok());
            allowed.unwrap_or(1)
        };
        let client = Client::builder(context, settings.text("base_url")?)?
            .auth(Auth::Bearer(settings.secret("access_token")?))
            .budget(Budget::new(allowed("requests_per_10_seconds"), TEN_SECONDS))
            .budget(
                Budget::new(allowed("searches_per_second"), Duration::from_secs(1))
                    .cost(|path| u32::from(path.ends_with("/search"))),
            )
            .errors(verdict)
            .build()?;

        Ok(Self { client, known: Mutex::default() })
    }

    /// The object of table `table`.
    ///
    /// # Errors
    /// `TableNotFound` for an unknown one.
    pub(super) async fn object(&self, table: &str) -> Result<Object> {
        if let Some(object) = Object::standard(table) {
            return Ok(object);
        }
        let custom = self.custom_objects().await?;
        let found = custom.iter().find(|object| object.table == table);
        let names = || -> Vec<&str> {
            let custom = custom.iter().map(|object| object.table.as_str());
            STANDARD.iter().map(|object| object.table).chain(custom).collect()
        };

        found.cloned().ok_or_else(|| Error::table_not_found(table, &names()))
    }

    /// The custom objects of the account; none, with a warning, if the token may not see them.
    pub(super) async fn custom_objects(&self) -> Result<Arc<[Object]>> {
        if let Some(custom) = &self.known().custom {
            return Ok(custom.clone());
        }
        let answer = self.ask::<List<CustomSchema>>(Request::get("/crm/v3/schemas")).await;
        let list = if_permitted("custom objects", answer)?.map(|list| list.results);
        let custom = list.into_iter().flatten().filter_map(CustomSchema::into_object);
        let custom: Arc<[Object]> = custom.collect();
        self.known().custom = Some(custom.clone());

        Ok(custom)
    }

    /// The properties of an object, those with which records are found included.
    pub(super) async fn properties(&self, object: &Object) -> Result<Arc<[Property]>> {
        if let Some(properties) = self.known().properties.get(&object.path) {
            return Ok(properties.clone());
        }
        let request = Request::get(path(&["crm", "v3", "properties", &object.path])?);
        let list: List<Property> = self.ask(request.query("archived", false)).await?;
        let properties: Arc<[Property]> = list.results.into();
        self.known().properties.insert(object.path.clone(), properties.clone());

        Ok(properties)
    }

    /// Sends `request` and reads the answer as `T`.
    pub(super) async fn ask<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        let read = |response: lakeflow_http::Response| {
            serde_json::from_slice(&response.body).map_err(|e| {
                Error::bad_response("the answer has not the documented form").source(e)
            })
        };

        self.client.send_with(request, read).await
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the body of an error says.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Refusal {
    message: String,
    policy_name: String,
}

/// What an error answer of HubSpot means.
fn verdict(reply: &ErrorReply<'_>) -> Verdict {
    let Refusal { message, policy_name } = serde_json::from_slice(reply.body).unwrap_or_default();
    match reply.status {
        401 => Verdict::of_status(401)
            .message("HubSpot rejected option 'access_token': renew the private app's token"),
        403 => Verdict::of_status(403).message(
            "the private app of option 'access_token' lacks a scope: grant \
             crm.objects.<object>.read and crm.schemas.<object>.read, of custom objects \
             crm.objects.custom.read and crm.schemas.custom.read",
        ),
        429 if policy_name == "DAILY" => Verdict::of_status(429)
            .retry(false)
            .message("the account's requests of today are used up: read again tomorrow"),
        429 if reply.header("retry-after").is_some() => Verdict::of_status(429),
        429 => Verdict::of_status(429).wait(Wait::For(pause(reply, &policy_name))),
        400 if !message.is_empty() => Verdict::of_status(400)
            .message(format!("HubSpot refused the request: {}", excerpt(&message))),
        status => Verdict::of_status(status),
    }
}

/// The window of the limit that was met: ten seconds, of searches one.
fn pause(reply: &ErrorReply<'_>, policy: &str) -> Duration {
    let interval = reply.number("x-hubspot-ratelimit-interval-milliseconds");
    match interval.and_then(|n| u64::try_from(n).ok()) {
        Some(interval) => Duration::from_millis(interval),
        None if policy == "SECONDLY" => Duration::from_secs(1),
        None => TEN_SECONDS,
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(200).collect()
}
