//! What a Microsoft 365 tenant answers, or who speaks in its place.

use crate::target::Target;

/// All of them: the plugin says what reads which.
pub(crate) fn targets() -> Vec<Target> {
    let decoders = larder_office365::testing::decoders().into_iter();
    decoders.map(|decoder| Target::plain(decoder.name, decoder.samples, decoder.decode)).collect()
}
