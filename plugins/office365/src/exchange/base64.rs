//! Base64 as it comes in an answer: piece by piece, broken by white space, sometimes without padding.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true)
        .with_encode_padding(true),
);

/// Why text is no base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotBase64;

/// An incremental decoder. Holds at most three characters between two calls.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    carry: Vec<u8>,
    padded: bool,
}

impl Decoder {
    /// Decodes what `input` completes, appending it to `output`.
    pub(crate) fn feed(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), NotBase64> {
        self.carry.reserve(input.len());
        for &byte in input {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                b'=' => self.padded = true,
                // After padding nothing may follow: the text has been cut or something was appended to it.
                _ if self.padded => return Err(NotBase64),
                _ => self.carry.push(byte),
            }
        }
        let whole = self.carry.len() / 4 * 4;
        LENIENT.decode_vec(&self.carry[..whole], output).map_err(|_| NotBase64)?;
        self.carry.drain(..whole);
        Ok(())
    }

    /// Decodes the last characters.
    pub(crate) fn finish(&mut self, output: &mut Vec<u8>) -> Result<(), NotBase64> {
        let rest = std::mem::take(&mut self.carry);
        LENIENT.decode_vec(rest, output).map_err(|_| NotBase64)
    }
}

/// A whole text.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut decoder = Decoder::default();
    let mut output = Vec::new();
    decoder.feed(text.as_bytes(), &mut output).ok()?;
    decoder.finish(&mut output).ok()?;
    Some(output)
}

/// Bytes as text, padded.
pub(crate) fn encode(bytes: &[u8]) -> String {
    LENIENT.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_pieces(text: &[u8], size: usize) -> Result<Vec<u8>, NotBase64> {
        let mut decoder = Decoder::default();
        let mut output = Vec::new();
        for piece in text.chunks(size) {
            decoder.feed(piece, &mut output)?;
        }
        decoder.finish(&mut output)?;
        Ok(output)
    }

    #[test]
    fn any_cut_gives_the_same_bytes() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for length in [0, 1, 2, 3, 4, 997, 998, 999, 1000] {
            let text = encode(&bytes[..length]);
            for size in [1, 2, 3, 5, 76, 4096] {
                assert_eq!(in_pieces(text.as_bytes(), size).unwrap(), &bytes[..length]);
            }
        }
    }

    #[test]
    fn white_space_and_missing_padding_are_tolerated() {
        assert_eq!(in_pieces(b" aGVs\r\nbG8 ", 4).unwrap(), b"hello");
        assert_eq!(in_pieces(b"aGVsbG8=", 3).unwrap(), b"hello");
        assert_eq!(in_pieces(b"aGVsbG8", 3).unwrap(), b"hello");
    }

    #[test]
    fn cut_or_foreign_text_is_refused() {
        assert!(in_pieces(b"aGVsb", 8).is_err(), "one character is no byte");
        assert!(in_pieces(b"aGVsbG8= aGVsbG8=", 8).is_err(), "padding in the middle");
        assert!(in_pieces(b"aGVs=== Truncated Data ===", 8).is_err());
        assert!(in_pieces(b"aG\xFFs", 8).is_err());
    }
}
