use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
};

use proptest::prelude::*;

use super::*;

#[derive(Default)]
struct MemoryNodes {
    nodes: RefCell<HashMap<BlobId, Vec<u8>>>,
    loads: Cell<usize>,
}

impl NodeStore for MemoryNodes {
    fn load(&self, id: &BlobId) -> Result<Arc<Node>> {
        self.loads.set(self.loads.get() + 1);
        Node::decode(&self.nodes.borrow()[id]).map(Arc::new)
    }
    fn save(&self, node: &Node) -> Result<BlobId> {
        let bytes = node.encode();
        let id = BlobId(*blake3::hash(&bytes).as_bytes());
        self.nodes.borrow_mut().insert(id, bytes);
        Ok(id)
    }
    fn draw(&self, level: u8, key: &[u8]) -> u32 {
        let hash = blake3::Hasher::new().update(&[level]).update(key).finalize();
        u32::from_le_bytes(hash.as_bytes()[..4].try_into().unwrap())
    }
}

fn key(number: u32) -> Vec<u8> {
    format!("key {number:08}").into_bytes()
}

fn build(nodes: &MemoryNodes, map: &BTreeMap<Vec<u8>, Vec<u8>>) -> Option<Root> {
    let edits: Vec<Edit> = map.iter().map(|(key, value)| (key.clone(), Some(value.clone()))).collect();
    edit(nodes, None, &edits).unwrap()
}

fn contents(nodes: &MemoryNodes, root: Option<Root>) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut scan = scan(nodes, root, b"", b"").unwrap();
    let mut map = BTreeMap::new();
    while let Some((rank, key, value)) = scan.next_entry().unwrap() {
        assert_eq!(rank, map.len() as u64);
        map.insert(key, value);
    }
    map
}

#[test]
fn the_same_entries_make_the_same_nodes_whatever_the_order() {
    let nodes = MemoryNodes::default();
    let map: BTreeMap<_, _> = (0..20_000).map(|n| (key(n), vec![n as u8; 40])).collect();
    let whole = build(&nodes, &map).unwrap();
    assert!(whole.level >= 2 && whole.entries == 20_000);
    let mut root = None;
    for part in 0..7_u32 {
        let edits: Vec<Edit> = map
            .iter()
            .enumerate()
            .filter(|(n, _)| *n as u32 % 7 == part)
            .map(|(_, (k, v))| (k.clone(), Some(v.clone())))
            .collect();
        root = edit(&nodes, root, &edits).unwrap();
    }
    assert_eq!(root, Some(whole));
    assert_eq!(contents(&nodes, root), map);
}

#[test]
fn a_small_edit_reads_and_writes_little() {
    let nodes = MemoryNodes::default();
    let map: BTreeMap<_, _> = (0..100_000).map(|n| (key(n), vec![n as u8; 40])).collect();
    let root = build(&nodes, &map).unwrap();
    let before = nodes.nodes.borrow().len();
    nodes.loads.set(0);
    edit(&nodes, Some(root), &[(key(50_000), Some(b"other".to_vec()))]).unwrap();
    assert!(nodes.loads.get() <= 12, "{} loads", nodes.loads.get());
    assert!(nodes.nodes.borrow().len() - before <= 8);
}

#[test]
fn removing_everything_leaves_nothing() {
    let nodes = MemoryNodes::default();
    let map: BTreeMap<_, _> = (0..3_000).map(|n| (key(n), vec![1])).collect();
    let root = build(&nodes, &map);
    let edits: Vec<Edit> = map.keys().map(|key| (key.clone(), None)).collect();
    assert_eq!(edit(&nodes, root, &edits).unwrap(), None);
    let (last, rest) = edits.split_last().unwrap();
    let one = edit(&nodes, root, rest).unwrap().unwrap();
    assert_eq!((one.level, one.entries), (0, 1));
    assert_eq!(contents(&nodes, Some(one)).into_keys().next().unwrap(), last.0);
}

#[test]
fn damaged_nodes_are_errors() {
    let nodes = MemoryNodes::default();
    let map: BTreeMap<_, _> = (0..50).map(|n| (key(n), vec![1])).collect();
    let root = build(&nodes, &map).unwrap();
    let bytes = nodes.nodes.borrow()[&root.id].clone();
    for place in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[place] ^= 0x81;
        drop(Node::decode(&bad));
        assert!(Node::decode(&bytes[..place]).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_edits_equal_building_afresh(
        base in proptest::collection::btree_map(0_u32..4_000, 0_usize..200, 0..1500),
        changes in proptest::collection::btree_map(0_u32..4_000, proptest::option::of(0_usize..6_000 / 2), 0..300),
    ) {
        let nodes = MemoryNodes::default();
        let mut map: BTreeMap<_, _> = base.into_iter().map(|(n, length)| (key(n), vec![n as u8; length])).collect();
        let root = build(&nodes, &map);
        let edits: Vec<Edit> =
            changes.into_iter().map(|(n, length)| (key(n), length.map(|length| vec![!n as u8; length]))).collect();
        for (key, value) in &edits {
            match value {
                Some(value) => map.insert(key.clone(), value.clone()),
                None => map.remove(key),
            };
        }
        let edited = edit(&nodes, root, &edits).unwrap();
        prop_assert_eq!(edited, build(&nodes, &map));
        prop_assert_eq!(contents(&nodes, edited), map.clone());
        if let Some(root) = edited {
            for (rank, (key, value)) in map.iter().enumerate().step_by(17) {
                prop_assert_eq!(get(&nodes, root, key).unwrap(), Some((rank as u64, value.clone())));
            }
            prop_assert_eq!(get(&nodes, root, b"key zzz").unwrap(), None);
        }
    }
}
