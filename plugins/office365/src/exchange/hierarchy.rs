//! Tells what changed in a tree of folders.

use std::collections::BTreeSet;

use larder_sdk::{Event, Item, ItemId, Offer, Result, ScopeId};

use super::{
    client::Asked,
    context::Context,
    cursor::Place,
    faults::Advice,
    folders::{Tree, Trees},
    item::id_of,
    outbox::Outbox,
    properties::boolean,
    requests,
    xml::Element,
};

/// Most pages of one tree in one run.
const PAGES_MAX: usize = 10_000;

/// A tree being told of.
pub(super) struct Hierarchy<'run> {
    context: &'run Context,
    trees: &'run Trees,
    tree: &'static Tree,
    /// The id of the tree's root.
    root: &'run str,
    scope: ScopeId,
    /// The folders whose items are to be read: those that have a cursor before, and those that are there after.
    folders: &'run mut BTreeSet<String>,
    outbox: &'run mut Outbox,
}

impl<'run> Hierarchy<'run> {
    /// One of a mailbox's trees.
    pub(super) fn new(
        context: &'run Context,
        trees: &'run Trees,
        (tree, root): (&'static Tree, &'run str),
        folders: &'run mut BTreeSet<String>,
        outbox: &'run mut Outbox,
    ) -> Self {
        Self { context, trees, tree, root, scope: ScopeId::from(tree.scope), folders, outbox }
    }

    /// Tells the changes of the tree.
    ///
    /// A folder that is new is given an empty cursor before the tree's own is settled: so a later run knows of it even if this
    /// one ends before its items are read.
    pub(super) async fn tell(mut self) -> Result<()> {
        let mut place = self.context.place(&self.scope).await?;
        if place.state.is_none() {
            place = self.begin().await?;
        }
        let mut refused = false;
        for _ in 0..PAGES_MAX {
            let page = match self.ask(place.state.as_deref()).await {
                Ok(page) => page,
                Err(failure) if failure.advice() == Some(Advice::ListAgain) && !refused => {
                    refused = true;
                    place = self.begin().await?;
                    continue;
                }
                Err(failure) => {
                    return Err(failure.error(&format!("the folders of {}", self.context.address)));
                }
            };
            let state = page.text_of("SyncState").filter(|state| !state.is_empty()).map(str::to_owned);
            let stuck = state.is_none() || state == place.state;
            let last = stuck || page.text_of("IncludesLastFolderInRange").and_then(boolean).unwrap_or(true);
            for change in page.child("Changes").map(|changes| changes.children.as_slice()).unwrap_or_default()
            {
                self.tell_change(change).await?;
            }
            if last && !place.complete {
                self.outbox.push(Event::End(self.scope.clone())).await?;
            }
            if let Some(state) = state.or_else(|| place.state.clone()) {
                place = Place::at(state, last || place.complete, place.begun);
                self.outbox.push(Event::Settled(self.scope.clone(), place.cursor())).await?;
            }
            if last {
                break;
            }
        }
        self.outbox.flush().await
    }

    async fn ask(&self, state: Option<&str>) -> Asked<Element> {
        let root = self.context.client.known(self.tree.root);
        Ok(self.context.client.call_one(&requests::sync_folder_hierarchy(root, state)).await?.element)
    }

    /// Begins a listing from nothing. The root of a tree that has a name of its own stands among its folders, though the
    /// server lists only what is below it.
    async fn begin(&mut self) -> Result<Place> {
        let place = self.context.fresh(Event::Begin(self.scope.clone()), self.outbox).await?;
        if self.tree.title.is_some() {
            let call = requests::get_folder(&[self.context.client.known(self.tree.root)]);
            let message =
                self.context.client.call_one(&call).await.map_err(|failure| failure.error(self.tree.root))?;
            let element = message.element.child("Folders").and_then(|folders| folders.children.first());
            if let Some(item) = element.and_then(|element| self.trees.item(element)) {
                self.tell_folder(item).await?;
            }
        }
        Ok(place)
    }

    async fn tell_change(&mut self, change: &Element) -> Result<()> {
        if change.name != "Delete" {
            return match change.children.first().and_then(|element| self.trees.item(element)) {
                Some(item) => self.tell_folder(item).await,
                None => Ok(()),
            };
        }
        let id = change.child("FolderId").and_then(id_of);
        if let Some(id) = id.filter(|id| *id != self.root) {
            self.folders.remove(id);
            self.outbox.push(Event::ScopeGone(ScopeId::from(id))).await?;
            self.outbox.push(Event::Deleted(ItemId::from(id))).await?;
        }
        Ok(())
    }

    async fn tell_folder(&mut self, item: Item) -> Result<()> {
        let id = item.id.display().into_owned();
        self.outbox.push(Event::Offer(Offer { scope: self.scope.clone(), item, carry: None })).await?;
        if !self.folders.contains(&id) {
            let nowhere = Place::nowhere().cursor();
            self.outbox.push(Event::Settled(ScopeId::from(id.as_str()), nowhere)).await?;
            self.folders.insert(id);
        }
        Ok(())
    }
}
