//! Reads one mailbox. A task asks the server ahead of the host, within bounds: first what is owed, then the folders, then
//! the items, several folders at once.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::AtomicUsize},
};

use futures::{StreamExt, TryStreamExt, stream};
use larder_sdk::{Body, Error, Event, LogLevel, Offer, Reader, Result, ScopeId, async_trait};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
};

use super::{
    context::Context,
    export,
    folders::{self, Trees, is_hierarchy},
    hierarchy::Hierarchy,
    offer,
    outbox::{BATCHES_AHEAD, Outbox, Said},
    owed, public, settings, sync,
};

/// Folders read at once.
const FOLDERS_AT_ONCE: usize = 3;

/// See the module.
pub(super) struct MailboxReader {
    context: Arc<Context>,
    said: Mutex<Hearing>,
    task: JoinHandle<()>,
}

/// The host's end of the way.
struct Hearing {
    way: mpsc::Receiver<Said>,
    done: bool,
}

impl MailboxReader {
    /// Begins to read.
    pub(super) fn start(context: Context) -> Self {
        let context = Arc::new(context);
        let (way, said) = mpsc::channel(BATCHES_AHEAD);
        let task = tokio::spawn(run(Arc::clone(&context), way));
        Self { context, said: Mutex::new(Hearing { way: said, done: false }), task }
    }
}

impl Drop for MailboxReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait]
impl Reader for MailboxReader {
    async fn next(&self) -> Result<Vec<Event>> {
        let mut said = self.said.lock().await;
        if said.done {
            return Ok(Vec::new());
        }
        match said.way.recv().await {
            Some(Said::Batch(events)) => Ok(events),
            Some(Said::Done) => {
                said.done = true;
                Ok(Vec::new())
            }
            Some(Said::Failed(error)) => Err(error),
            // The task panicked: that must not look like a mailbox read to its end.
            None => Err(Error::bug(format!("reading {} ended without a word", self.context.address))),
        }
    }

    async fn open(&self, offer: &Offer, stream: usize) -> Result<Box<dyn Body>> {
        offer::open(&self.context, offer, stream).await
    }
}

async fn run(context: Arc<Context>, way: mpsc::Sender<Said>) {
    let last = match tell(&context, &way).await {
        Ok(()) => Said::Done,
        Err(error) => Said::Failed(error),
    };
    // Nobody is left to hear of it if the reader has been dropped.
    let _ = way.send(last).await;
}

async fn tell(context: &Context, way: &mpsc::Sender<Said>) -> Result<()> {
    let _ = context.fidelity.set(export::agree(context).await?);
    if context.address == public::ADDRESS {
        return public::tell(context, way).await;
    }
    let trees = Trees::find(context).await.map_err(|failure| failure.error(&context.address))?;
    let mut outbox = Outbox::new(way);
    owed::tell(context, &trees, &mut outbox).await?;

    let scopes = context.host.scopes().await?;
    let own = scopes.iter().filter(|scope| !is_hierarchy(scope));
    let mut ids: BTreeSet<String> = own.map(|scope| scope.display().into_owned()).collect();
    for (tree, root) in trees.iter() {
        let told = Hierarchy::new(context, &trees, (tree, root), &mut ids, &mut outbox).tell().await;
        // The visible tree must be read; another one that cannot be is not a reason to leave the rest.
        match told {
            Err(error) if !tree.is_primary() && !error.is_transient() => {
                outbox.flush().await?;
                context.log(LogLevel::Warning, &format!("{} is left out: {error}", tree.root));
            }
            told => told?,
        }
    }
    if context.options.settings {
        settings::tell(context, &ids, &mut outbox).await?;
    }
    outbox.flush().await?;

    let hierarchy = ScopeId::from(folders::PRIMARY_SCOPE);
    // What left any folder is known before anything is told of what arrived in another.
    let held = AtomicUsize::new(0);
    let mut looks = Vec::with_capacity(ids.len());
    for id in &ids {
        looks.push(sync::look_ahead(context, id, &held));
    }
    let ahead: Vec<_> = stream::iter(looks).buffered(FOLDERS_AT_ONCE).try_collect().await?;
    let mut folders = Vec::with_capacity(ids.len());
    for (id, ahead) in ids.iter().zip(ahead) {
        folders.push(sync::tell(context, id, ahead, &hierarchy, way));
    }
    stream::iter(folders).buffer_unordered(FOLDERS_AT_ONCE).try_collect::<()>().await
}
