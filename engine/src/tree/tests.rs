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

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// What walking maps side by side must give.
fn rows_of(maps: &[Map], prefix: &[u8]) -> Vec<Row> {
    let keys: std::collections::BTreeSet<&Vec<u8>> =
        maps.iter().flat_map(BTreeMap::keys).filter(|key| key.starts_with(prefix)).collect();
    let row = |key: &Vec<u8>| {
        let mut values: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
        for (tree, map) in maps.iter().enumerate() {
            if let Some(value) = map.get(key) {
                values.entry(value.clone()).or_default().push(tree as u32);
            }
        }
        Row {
            key: key.clone(),
            values: values.into_iter().map(|(value, trees)| (value, trees.into())).collect(),
        }
    };
    keys.into_iter().map(row).collect()
}

fn walked(nodes: &MemoryNodes, roots: &[Option<Root>], prefix: &[u8], alike: Alike) -> Vec<Row> {
    let mut walk = together(nodes, roots, prefix, alike);
    let mut rows = Vec::new();
    while let Some(mut row) = walk.next_row().unwrap() {
        row.values.sort();
        rows.push(row);
    }
    assert!(walk.broken().is_empty());
    rows
}

#[test]
fn what_two_large_trees_share_is_not_read() {
    let nodes = MemoryNodes::default();
    let map: Map = (0..100_000).map(|n| (key(n), vec![n as u8; 40])).collect();
    let old = build(&nodes, &map).unwrap();
    let changes: Vec<Edit> = [(3, None), (50_000, Some(b"other".to_vec())), (200_000, Some(b"new".to_vec()))]
        .map(|(number, value)| (key(number), value))
        .into();
    let new = edit(&nodes, Some(old), &changes).unwrap();
    nodes.loads.set(0);
    let rows = walked(&nodes, &[Some(old), new], b"", Alike::PassedOver);
    assert_eq!(
        rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>(),
        [key(3), key(50_000), key(200_000)]
    );
    // Three paths of three levels, in two trees, and a node beside each where a border moved.
    assert!(nodes.loads.get() <= 40, "{} loads", nodes.loads.get());
    nodes.loads.set(0);
    assert!(walked(&nodes, &[new, new], b"", Alike::PassedOver).is_empty());
    assert_eq!(nodes.loads.get(), 0, "equal roots are not even opened");
}

#[test]
fn what_many_trees_share_is_read_once() {
    let nodes = MemoryNodes::default();
    let map: Map = (0..20_000).map(|n| (key(n), vec![n as u8; 40])).collect();
    let mut roots = vec![build(&nodes, &map)];
    for round in 0..30_u32 {
        let changes = [(key(round * 600), Some(vec![0xff; 40]))];
        roots.push(edit(&nodes, roots[round as usize], &changes).unwrap());
    }
    let stored = nodes.nodes.borrow().len();
    nodes.loads.set(0);
    let rows = walked(&nodes, &roots, b"", Alike::Shown);
    assert_eq!(rows.len(), 20_000);
    assert_eq!(rows[600].values.iter().map(|(_, trees)| trees.len()).collect::<Vec<_>>(), [2, 29]);
    assert_eq!(nodes.loads.get(), stored, "each node that there is, once");
}

#[test]
fn a_damaged_node_leaves_out_what_is_below_it_and_nothing_else() {
    let nodes = MemoryNodes::default();
    let map: Map = (0..5_000).map(|n| (key(n), vec![n as u8; 40])).collect();
    let root = build(&nodes, &map).unwrap();
    let Node::Inner(_, children) = &*nodes.load(&root.id).unwrap() else { panic!("an inner node expected") };
    let (last, child) = &children[1];
    nodes.nodes.borrow_mut().insert(child.id, vec![9]);
    let mut walk = together(&nodes, &[Some(root), Some(root)], b"", Alike::Shown);
    let mut count = 0;
    while let Some(row) = walk.next_row().unwrap() {
        assert!(row.key <= children[0].0 || row.key > *last);
        count += 1;
    }
    assert_eq!(count, 5_000 - child.entries);
    assert_eq!(walk.broken()[0].1[..], [0, 1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn trees_side_by_side_show_what_their_maps_hold(
        base in proptest::collection::btree_map(0_u32..3_000, 0_usize..60, 0..1500),
        rounds in proptest::collection::vec(
            proptest::collection::btree_map(0_u32..3_000, proptest::option::of(0_usize..60), 0..40), 0..6),
        lost in 0_usize..9,
    ) {
        let nodes = MemoryNodes::default();
        let mut map: Map = base.into_iter().map(|(n, length)| (key(n), vec![n as u8; length])).collect();
        let (mut maps, mut roots) = (vec![map.clone()], vec![build(&nodes, &map)]);
        for changes in rounds {
            for (n, length) in changes {
                match length {
                    Some(length) => map.insert(key(n), vec![!n as u8; length]),
                    None => map.remove(&key(n)),
                };
            }
            maps.push(map.clone());
            roots.push(build(&nodes, &map));
        }
        // Sometimes a tree that has nothing at all.
        if let (Some(map), Some(root)) = (maps.get_mut(lost), roots.get_mut(lost)) {
            map.clear();
            *root = None;
        }
        for prefix in [&b""[..], b"key 0000", b"key 00001", b"key 000012", b"zzz"] {
            let expected = rows_of(&maps, prefix);
            prop_assert_eq!(&walked(&nodes, &roots, prefix, Alike::Shown), &expected);
            let differing: Vec<Row> = expected
                .into_iter()
                .filter(|row| row.values.len() > 1 || row.values[0].1.len() < roots.len())
                .collect();
            prop_assert_eq!(&walked(&nodes, &roots, prefix, Alike::PassedOver), &differing);
        }
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

#[test]
fn a_finger_finds_what_a_search_finds_and_goes_down_once_per_leaf() {
    let nodes = MemoryNodes::default();
    let map: BTreeMap<_, _> = (0..5_000).map(|n| (key(n * 2), vec![n as u8; 9])).collect();
    let root = build(&nodes, &map).unwrap();
    let mut finger = Finger::default();
    nodes.loads.set(0);
    for number in 0..10_010 {
        let found = finger.get(&nodes, root, &key(number)).unwrap();
        let rank = u64::from(number / 2);
        assert_eq!(found, map.get(&key(number)).map(|value| (rank, value.clone())));
    }
    assert!(nodes.loads.get() < 1000, "{} nodes loaded for 10,010 keys", nodes.loads.get());
    let other = edit(&nodes, Some(root), &[(key(9_998), None)]).unwrap().unwrap();
    for (root, there) in [(root, true), (other, false), (root, true)] {
        assert_eq!(finger.get(&nodes, root, &key(9_998)).unwrap().is_some(), there, "another tree");
    }
}

proptest! {
    #[test]
    fn a_finger_agrees_with_a_search_in_any_order(
        there in prop::collection::btree_set(0_u32..3000, 1..600),
        asked in prop::collection::vec(0_u32..3010, 0..200),
    ) {
        let nodes = MemoryNodes::default();
        let root = build(&nodes, &there.iter().map(|n| (key(*n), vec![1])).collect()).unwrap();
        let mut finger = Finger::default();
        for number in asked {
            let key = key(number);
            prop_assert_eq!(finger.get(&nodes, root, &key).unwrap(), get(&nodes, root, &key).unwrap());
        }
    }
}
