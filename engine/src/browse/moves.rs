//! Which items only changed their place between two states of a container.

use std::collections::{HashMap, HashSet};

use larder_sdk::ItemId;

use crate::{
    catalog::{self, ItemRecord},
    error::Result,
    hash::Digest,
    process::Interrupt,
    repository::Nodes,
    tree::{self, Alike, Root},
};

/// Most moves, and most candidates for them, that are remembered.
const MOVES_MAX: usize = 200_000;

/// Moves: an item of the same id in another folder, or, where an id is a path, another path with the same bytes.
#[derive(Default)]
pub(super) struct Moves {
    /// By id in the second state: parent and id in the first.
    from: HashMap<ItemId, (ItemId, ItemId)>,
    /// Their ids in the first state.
    former: HashSet<ItemId>,
    /// There were too many to remember: those left out look added and removed.
    pub(super) incomplete: bool,
}

impl Moves {
    /// Finds the moves between two states; reads only what differs.
    pub(super) fn find(
        nodes: &Nodes,
        roots: [Option<Root>; 2],
        path_ids: bool,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let mut moves = Self::default();
        if roots.iter().all(Option::is_some) {
            if path_ids {
                moves.by_content(nodes, roots, interrupt)?;
            } else {
                moves.by_id(nodes, roots, interrupt)?;
            }
        }
        Ok(moves)
    }

    /// Parent and id that an item of the second state had in the first.
    pub(super) fn from(&self, id: &ItemId) -> Option<(&ItemId, &ItemId)> {
        self.from.get(id).map(|(parent, id)| (parent, id))
    }

    /// True if an item of the first state is in another place in the second.
    pub(super) fn is_former(&self, id: &ItemId) -> bool {
        self.former.contains(id)
    }

    fn add(&mut self, id: ItemId, parent: ItemId, former: ItemId) {
        self.former.insert(former.clone());
        self.from.insert(id, (parent, former));
    }

    /// The map from ids to parents says it: of what moved, the parents differ.
    fn by_id(&mut self, nodes: &Nodes, roots: [Option<Root>; 2], interrupt: &Interrupt) -> Result<()> {
        let family = catalog::where_key(&ItemId::default());
        let mut walk = tree::together(nodes, &roots, &family, Alike::PassedOver);
        while let Some(row) = walk.next_row()? {
            interrupt.check()?;
            let old = row.values.iter().find(|(_, trees)| trees.contains(&0));
            if let (2, Some((parent, _))) = (row.values.len(), old) {
                if self.from.len() >= MOVES_MAX {
                    self.incomplete = true;
                    return Ok(());
                }
                let id = ItemId::new(&row.key[family.len()..]);
                self.add(id.clone(), ItemId::new(parent), id);
            }
        }
        Ok(())
    }

    /// A file that is gone and one that is new are one that moved if they have the same bytes.
    fn by_content(&mut self, nodes: &Nodes, roots: [Option<Root>; 2], interrupt: &Interrupt) -> Result<()> {
        let mut gone: HashMap<Digest, Vec<(ItemId, ItemId)>> = HashMap::new();
        let mut added: Vec<(Digest, ItemId)> = Vec::new();
        let mut count = 0;
        let mut walk = tree::together(nodes, &roots, &[catalog::CHILD], Alike::PassedOver);
        while let Some(row) = walk.next_row()? {
            interrupt.check()?;
            let [(value, trees)] = &row.values[..] else { continue };
            // What does not read is told when it is compared.
            let Some((parent, id)) = catalog::parse_child(&row.key) else { continue };
            let Ok(record) = nodes.unwrap::<ItemRecord>(value) else { continue };
            let Some(stream) = record.streams.first().filter(|stream| stream.bytes > 0) else { continue };
            count += 1;
            if count > MOVES_MAX {
                self.incomplete = true;
                break;
            }
            if trees.contains(&0) {
                gone.entry(stream.digest).or_default().push((parent, id));
            } else {
                added.push((stream.digest, id));
            }
        }
        for (digest, id) in added {
            let Some(candidates) = gone.get_mut(&digest) else { continue };
            // Of several, the one of the same name.
            let place = candidates.iter().position(|(_, former)| name(former) == name(&id)).unwrap_or(0);
            if place < candidates.len() {
                let (parent, former) = candidates.swap_remove(place);
                self.add(id, parent, former);
            }
        }
        Ok(())
    }
}

/// The last part of a path that is an id.
fn name(id: &ItemId) -> &[u8] {
    id.as_bytes().rsplit(|byte| *byte == 0).next().unwrap_or_default()
}
