//! Building a table by external merge: sorted runs of bounded size, then one pass over them and the table before.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashSet},
    io,
    sync::Arc,
};

use super::{
    block::{Appender, BlockReader, BlockWriter, CacheKey, FileKey, Medium, Stretch, damage},
    table::{Base, Footer, Table, encode_tables},
};
use crate::{
    cache::{Cache, Unfinished},
    hash::{ObjectName, fill_random},
    index::{BlobKind, Delta, Filter, IndexEntry, PackTable, Row},
};

/// Why no table was built.
#[derive(Debug)]
pub(super) enum BuildError {
    /// The table before is damaged.
    Base(io::Error),
    /// The new one could not be written, or read back.
    Write(io::Error),
}

/// Where a kind's table lies in the cache.
pub(super) fn file_name(kind: BlobKind) -> &'static str {
    match kind {
        BlobKind::Data => "index/data",
        BlobKind::Tree => "index/trees",
    }
}

/// The cache's folder of tables.
pub(super) const FOLDER: &str = "index";

/// Gathers the rows of a new table.
pub(super) struct Builder<'run> {
    /// Without one everything is in memory.
    cache: Option<&'run Cache>,
    secret: &'run CacheKey,
    kind: BlobKind,
    run_rows: usize,
    packs: PackTable,
    dropped: Vec<bool>,
    buffer: Vec<Row>,
    runs: Option<Runs>,
    base: Option<Base>,
    /// From the base's pack numbers to ours.
    base_packs: Vec<Option<u32>>,
}

/// Sorted rows put aside.
struct Runs {
    medium: Medium,
    key: FileKey,
    stretches: Vec<Stretch>,
    /// Removed when this goes.
    _file: Option<Unfinished>,
}

impl<'run> Builder<'run> {
    /// Sorts `run_rows` rows in memory at once.
    pub(super) fn new(
        cache: Option<&'run Cache>,
        secret: &'run CacheKey,
        kind: BlobKind,
        run_rows: usize,
    ) -> Self {
        Self {
            cache,
            secret,
            kind,
            run_rows,
            packs: PackTable::default(),
            dropped: Vec::new(),
            buffer: Vec::new(),
            runs: None,
            base: None,
            base_packs: Vec::new(),
        }
    }

    /// Takes over what counts of a table.
    pub(super) fn keep(&mut self, base: Base) {
        let segments: Vec<u32> =
            base.table.segments().iter().map(|segment| self.packs.add_segment(*segment)).collect();
        let live: HashSet<ObjectName> = base.segments().collect();
        self.dropped = self.packs.segments().iter().map(|segment| !live.contains(segment)).collect();
        self.base_packs = (0..base.table.packs().len() as u32)
            .map(|number| {
                let (pack, segment) = base.pack(number)?;
                Some(self.packs.add(pack, *segments.get(segment as usize)?))
            })
            .collect();
        self.base = Some(base);
    }

    /// Announces a segment; returns its number.
    pub(super) fn segment(&mut self, name: ObjectName) -> u32 {
        let number = self.packs.add_segment(name);
        self.dropped.resize(self.packs.segments().len(), false);
        number
    }

    /// Leaves a segment out after all: it turned out to be damaged.
    pub(super) fn drop_segment(&mut self, number: u32) {
        if let Some(dropped) = self.dropped.get_mut(number as usize) {
            *dropped = true;
        }
    }

    /// Adds entries of a segment.
    pub(super) fn push(&mut self, segment: u32, entries: &[IndexEntry]) -> Result<(), BuildError> {
        for entry in entries {
            let pack = self.packs.add(entry.pack, segment);
            self.buffer.push(Row::new(entry, pack));
        }
        if self.buffer.len() >= self.run_rows { self.spill().map_err(BuildError::Write) } else { Ok(()) }
    }

    /// Adds what is in memory.
    pub(super) fn push_delta(&mut self, delta: &Delta) -> Result<(), BuildError> {
        let segments: Vec<u32> =
            delta.packs().segments().iter().map(|segment| self.segment(*segment)).collect();
        let packs: Vec<Option<u32>> = delta
            .packs()
            .packs()
            .iter()
            .map(|(pack, segment)| Some(self.packs.add(*pack, *segments.get(*segment as usize)?)))
            .collect();
        for row in delta.rows() {
            if let Some(Some(pack)) = packs.get(row.pack as usize) {
                self.buffer.push(Row { pack: *pack, ..*row });
            }
            if self.buffer.len() >= self.run_rows {
                self.spill().map_err(BuildError::Write)?;
            }
        }
        Ok(())
    }

    fn medium(&self) -> io::Result<(Medium, Option<Unfinished>)> {
        match self.cache {
            Some(cache) => {
                let file = cache.create(FOLDER)?;
                Ok((Medium::File(file.reopen()?), Some(file)))
            }
            None => Ok((Medium::Memory(Vec::new()), None)),
        }
    }

    /// Sorts what was gathered and puts it aside.
    fn spill(&mut self) -> io::Result<()> {
        self.buffer.sort_unstable_by_key(Row::key);
        let runs = match &mut self.runs {
            Some(runs) => runs,
            None => {
                let (medium, file) = self.medium()?;
                let key = self.secret.file(self.kind, &nonce()?);
                self.runs.insert(Runs { medium, key, stretches: Vec::new(), _file: file })
            }
        };
        let offset = runs.medium.len()?;
        let mut writer = BlockWriter::new(&mut runs.medium, runs.key.clone())?;
        self.buffer.iter().try_for_each(|row| writer.push(row))?;
        let (rows, _, mut out) = writer.finish()?;
        out.flush()?;
        runs.stretches.push(Stretch { offset, rows });
        self.buffer.clear();
        Ok(())
    }

    /// Merges everything into the new table and puts it in place.
    pub(super) fn finish(mut self) -> Result<Arc<Table>, BuildError> {
        self.buffer.sort_unstable_by_key(Row::key);
        let (packs, numbers) = self.live_packs();
        let (mut medium, file) = self.medium().map_err(BuildError::Write)?;
        let nonce = nonce().map_err(BuildError::Write)?;
        let key = self.secret.file(self.kind, &nonce);
        let mut filter = Filter::for_blobs(self.rows_max());
        let mut writer = BlockWriter::new(&mut medium, key.clone()).map_err(BuildError::Write)?;
        self.merge(|row| {
            let Some(Some(pack)) = numbers.get(row.pack as usize) else { return Ok(()) };
            filter.insert(&row.id);
            writer.push(&Row { pack: *pack, ..row })
        })?;
        let (rows, firsts, mut out) = writer.finish().map_err(BuildError::Write)?;
        let tables = encode_tables(&firsts, &packs);
        let footer = Footer {
            nonce,
            rows,
            filter_bytes: filter.as_bytes().len() as u64,
            packs: packs.packs().len() as u64,
            segments: packs.segments().len() as u64,
            filter_digest: key.digest(filter.as_bytes()),
            tables_digest: key.digest(&tables),
        };
        append(&mut out, &[filter.as_bytes(), &tables, &footer.encode(self.secret, self.kind)])
            .map_err(BuildError::Write)?;
        drop(out);
        if let (Some(cache), Some(file)) = (self.cache, file) {
            cache.publish(file, file_name(self.kind)).map_err(BuildError::Write)?;
        }
        Table::open(medium, self.secret, self.kind).map(Arc::new).map_err(BuildError::Write)
    }

    /// At most this many rows will be in the table.
    fn rows_max(&self) -> u64 {
        let runs = self.runs.iter().flat_map(|runs| &runs.stretches).map(|run| run.rows).sum::<u64>();
        runs + self.buffer.len() as u64 + self.base.as_ref().map_or(0, |base| base.table.len())
    }

    /// The packs of the segments that stay, and their numbers by ours.
    fn live_packs(&self) -> (PackTable, Vec<Option<u32>>) {
        let mut live = PackTable::default();
        let segments: Vec<Option<u32>> = self
            .packs
            .segments()
            .iter()
            .zip(&self.dropped)
            .map(|(segment, dropped)| (!dropped).then(|| live.add_segment(*segment)))
            .collect();
        let numbers = self.packs.packs().iter().map(|(pack, segment)| {
            let segment = (*segments.get(*segment as usize)?)?;
            Some(live.add(*pack, segment))
        });
        let numbers = numbers.collect();
        (live, numbers)
    }

    /// All rows in order, those of the base with our pack numbers.
    fn merge(&self, mut take: impl FnMut(Row) -> io::Result<()>) -> Result<(), BuildError> {
        let mut inputs: Vec<Input<'_>> = vec![Input::Memory(self.buffer.iter())];
        if let Some(runs) = &self.runs {
            let reader = |run: &Stretch| BlockReader::new(&runs.medium, runs.key.clone(), *run);
            inputs.extend(runs.stretches.iter().map(reader).map(Input::Run));
        }
        if let Some(base) = &self.base {
            inputs.push(Input::Base(base.table.rows(), &self.base_packs));
        }
        let mut heads = BinaryHeap::new();
        let mut rows = Vec::new();
        for (place, input) in inputs.iter_mut().enumerate() {
            let row = input.next_row()?;
            heads.extend(row.map(|row| Reverse((row.key(), place))));
            rows.push(row);
        }
        while let Some(mut head) = heads.peek_mut() {
            let Reverse((_, place)) = *head;
            if let Some(row) = rows[place].take() {
                take(row).map_err(BuildError::Write)?;
            }
            match inputs[place].next_row()? {
                Some(row) => {
                    rows[place] = Some(row);
                    *head = Reverse((row.key(), place));
                }
                None => drop(std::collections::binary_heap::PeekMut::pop(head)),
            }
        }
        Ok(())
    }
}

/// One sorted input of a merge.
enum Input<'rows> {
    Memory(std::slice::Iter<'rows, Row>),
    Run(BlockReader<'rows>),
    Base(BlockReader<'rows>, &'rows [Option<u32>]),
}

impl Input<'_> {
    fn next_row(&mut self) -> Result<Option<Row>, BuildError> {
        match self {
            Self::Memory(rows) => Ok(rows.next().copied()),
            Self::Run(rows) => rows.next_row().map_err(BuildError::Write),
            Self::Base(rows, packs) => loop {
                let Some(row) = rows.next_row().map_err(BuildError::Base)? else { return Ok(None) };
                match packs.get(row.pack as usize) {
                    Some(Some(pack)) => return Ok(Some(Row { pack: *pack, ..row })),
                    Some(None) => {}
                    None => return Err(BuildError::Base(damage("a row names a pack that is not there"))),
                }
            },
        }
    }
}

fn append(out: &mut Appender<'_>, parts: &[&[u8]]) -> io::Result<()> {
    parts.iter().try_for_each(|part| out.push(part))?;
    out.flush()
}

fn nonce() -> io::Result<[u8; 16]> {
    let mut nonce = [0; 16];
    fill_random(&mut nonce).map_err(io::Error::other)?;
    Ok(nonce)
}
