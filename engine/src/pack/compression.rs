//! How hard frames are compressed.

/// A frame of at least so many blobs is one of small neighbours.
const SMALL_NEIGHBOURS: usize = 16;

/// What a repository's config chooses. Readers need not know: a frame says how it is to be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// For a processor slower than the store.
    Fast,
    /// As fast as everything else that a backup does.
    #[default]
    Default,
    /// For a store dearer than the processor: about ten times as slow, and larger frames, of which each read opens a whole one.
    Max,
}

impl Compression {
    /// The words of a config file.
    pub const WORDS: [&str; 3] = ["fast", "default", "max"];

    /// What a word of a config file stands for.
    pub fn of_word(word: &str) -> Option<Self> {
        match word {
            "fast" => Some(Self::Fast),
            "default" => Some(Self::Default),
            "max" => Some(Self::Max),
            _ => None,
        }
    }

    /// zstd's level for a frame of so many blobs. Many small ones are records, text and tree nodes: they gain most from a harder
    /// look (of list items 5 %), and are seldom most of the bytes.
    pub(crate) fn level(self, blobs: usize) -> i32 {
        match self {
            Self::Fast => 1,
            Self::Default if blobs < SMALL_NEIGHBOURS => 3,
            Self::Default => 6,
            Self::Max => 15,
        }
    }

    /// A frame of data is full once it has so many plain bytes: small neighbours compress better in larger ones.
    pub fn data_frame_bytes(self) -> usize {
        match self {
            Self::Fast | Self::Default => 512 << 10,
            Self::Max => 2 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::{decode_frame, encode_frame};

    #[test]
    fn each_choice_has_a_word_and_more_work_makes_less() {
        let words =
            ["mail", "list", "item", "folder", "message", "answer", "open", "closed", "waiting", "report"];
        let mut state = 1_u32;
        let mut draw = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        let mut text = String::new();
        while text.len() < 250_000 {
            let (number, word) = (draw(99_999), words[draw(10) as usize]);
            text.extend([r#"{"Id": "#, &number.to_string(), r#", "Title": ""#, word, "\"}\n"]);
        }
        let mut lengths = Vec::new();
        for word in Compression::WORDS {
            let frame = encode_frame(text.as_bytes(), Compression::of_word(word).unwrap().level(1)).unwrap();
            assert_eq!(decode_frame(&frame).unwrap(), text.as_bytes());
            lengths.push(frame.len());
        }
        assert!(lengths[2] < lengths[0], "{lengths:?}");
        assert_eq!(Compression::of_word("best"), None);
    }
}
