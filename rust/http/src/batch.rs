//! Details of many ids, some at a time.

use crate::{Client, Request, Response, envelope};
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use lakeflow_core::{Error, Result};
use std::collections::{HashMap, HashSet};

/// How ids are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    /// Ids in one request, from 1.
    pub ids: usize,
    /// Requests at once, from 1; the client's limits hold besides.
    pub at_once: usize,
}

/// Asks for the details of `ids` in chunks, and gives them in the order of `ids`; `None` for an id
/// that the answers do not have.
///
/// `request` asks for a chunk, `parse` finds ids and their details in the answer; an error of it
/// with [`Retry::Backoff`](lakeflow_core::Retry::Backoff) has the request repeated.
///
/// # Errors
/// Those of the client, of `request` and of `parse`;
/// [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse) for an id that was not asked
/// for.
pub async fn details<T: Clone + Send>(
    client: &Client,
    ids: &[String],
    chunks: Chunks,
    request: impl Fn(&[String]) -> Result<Request>,
    parse: impl Fn(&Response) -> Result<Vec<(String, T)>>,
) -> Result<Vec<Option<T>>> {
    if chunks.ids == 0 || chunks.at_once == 0 {
        return Err(Error::internal("ids are asked for one at a time or more"));
    }
    let mut known = HashSet::new();
    let unique: Vec<String> = ids.iter().filter(|id| known.insert(id.as_str())).cloned().collect();
    let parse = &parse;
    let answers = unique.chunks(chunks.ids).map(|chunk| {
        let request = request(chunk);
        async move {
            client
                .send_with(request?, |response| {
                    let found = parse(&response)?;
                    match found.iter().find(|(id, _)| !chunk.contains(id)) {
                        Some((id, _)) => Err(response.bad_response(format!(
                            "the answer holds id '{id}', which was not asked for"
                        ))),
                        None => Ok(found),
                    }
                })
                .await
        }
    });
    let answers: Vec<_> = answers.collect();
    let found: Vec<Vec<_>> = stream::iter(answers).buffered(chunks.at_once).try_collect().await?;
    let found: HashMap<String, T> = found.into_iter().flatten().collect();

    Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
}

/// As [`details`], where a record has more fields than one request may name: asks for `names` in
/// chunks of `names_at_once`, one chunk after the other, and joins the pieces of each record with
/// [`envelope::merged`].
///
/// What all pieces have, such as the time of the last change, is that of the first, which is the
/// oldest: a record that changes in between comes again by that time.
///
/// # Errors
/// Those of [`details`].
pub async fn wide_details(
    client: &Client,
    ids: &[String],
    chunks: Chunks,
    names: &[String],
    names_at_once: usize,
    request: impl Fn(&[String], &[String]) -> Result<Request>,
    parse: impl Fn(&Response) -> Result<Vec<(String, Bytes)>>,
) -> Result<Vec<Option<Bytes>>> {
    let mut pieces: Vec<Option<Vec<Bytes>>> = vec![Some(Vec::new()); ids.len()];
    // Without names there is still one request, for what every record has.
    let parts: Vec<&[String]> =
        if names.is_empty() { vec![names] } else { names.chunks(names_at_once.max(1)).collect() };
    for names in parts {
        let found = details(client, ids, chunks, |ids| request(ids, names), &parse).await?;
        for (pieces, found) in pieces.iter_mut().zip(found) {
            match (pieces.as_mut(), found) {
                (Some(pieces), Some(piece)) => pieces.push(piece),
                // Gone in between: half a record is none.
                _ => *pieces = None,
            }
        }
    }

    pieces.into_iter().map(|p| p.map(|p| envelope::merged(&p)).transpose()).collect()
}
