//! Asking for rows: a page after another, or one by one.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{Stream, StreamExt as _, stream};
use larder_sdk::{ErrorKind, Result};
use serde_json::Value as Json;
use url::Url;

use super::{
    fault::THRESHOLD,
    items::{self, Extras, PAGE_ROWS, Row},
    lists::List,
    reading::Reading,
    web::{Form, Web},
};

/// Items asked for at the same time when each is asked for by itself.
const TOGETHER: usize = 4;

/// Lists whose fields cannot be had as texts, because they join too many others.
#[derive(Clone, Default)]
pub(super) struct Texts(Arc<Mutex<BTreeSet<String>>>);

impl Texts {
    fn of(&self, list: &List) -> bool {
        !list.library && !self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&list.id)
    }

    fn give_up(&self, list: &List) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(list.id.clone());
    }
}

/// The first page of a list's rows, and where the next one is. In the order of their numbers and unfiltered: anything else fails in a list of
/// more than 5,000.
pub(super) async fn first_page(web: &Web, list: &List, texts: &Texts) -> Result<(Vec<Json>, Option<Url>)> {
    loop {
        let with = texts.of(list);
        let tail =
            format!("{}/items?{}&$orderby=ID&$top={PAGE_ROWS}", list.address(), items::query(list, with));
        match web.page(web.api(&tail)?, Form::Minimal).await {
            Err(error) if with && error.code() == Some(THRESHOLD) => texts.give_up(list),
            page => return page,
        }
    }
}

/// One item of a list; `None` if it is not there.
pub(super) async fn one_row(web: &Web, list: &List, number: i64, texts: &Texts) -> Result<Option<Row>> {
    loop {
        let with = texts.of(list);
        let tail = format!("{}/items({number})?{}", list.address(), items::query(list, with));
        match found(web.get(&tail, Form::Minimal).await) {
            Err(error) if with && error.code() == Some(THRESHOLD) => texts.give_up(list),
            row => return row?.map(Row::new).transpose(),
        }
    }
}

/// The items of these numbers with what belongs to them, in their order, a few asked for at the same time.
pub(super) fn rows_of(
    reading: Reading,
    list: List,
    texts: Texts,
    numbers: Vec<i64>,
) -> impl Stream<Item = (i64, Result<Option<(Row, Extras)>>)> + Send {
    let asked = stream::iter(numbers).map(move |number| {
        let (reading, list, texts) = (reading.clone(), list.clone(), texts.clone());
        async move {
            let read = async {
                let Some(row) = one_row(&reading.web, &list, number, &texts).await? else { return Ok(None) };
                let extras = reading.extras(&list, &row, false).await?;
                Ok(Some((row, extras)))
            };
            (number, read.await)
        }
    });
    asked.buffered(TOGETHER)
}

/// The rows of a page with what belongs to them, in their order.
pub(super) fn with_extras(
    reading: Reading,
    list: List,
    rows: Vec<Row>,
    anew: bool,
) -> impl Stream<Item = Result<(Row, Extras)>> + Send {
    let asked = stream::iter(rows).map(move |row| {
        let (reading, list) = (reading.clone(), list.clone());
        async move {
            let extras = reading.extras(&list, &row, anew).await?;
            Ok((row, extras))
        }
    });
    asked.buffered(TOGETHER)
}

/// Turns "not found" into `None`.
pub(super) fn found(answer: Result<Json>) -> Result<Option<Json>> {
    match answer {
        Ok(json) if json.get("odata.null").is_some() => Ok(None),
        Ok(json) => Ok(Some(json)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
