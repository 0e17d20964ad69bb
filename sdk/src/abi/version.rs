//! The boundary's own version, which is no crate's version.

use std::fmt;

/// Version of the boundary: major in the upper half, minor in the lower. Majors must be equal; of two minors both sides speak the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct AbiVersion(u32);

impl AbiVersion {
    /// What this build speaks. 1.1 has events of items that were moved.
    pub const CURRENT: Self = Self::new(1, 1);

    /// A version by its two numbers.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self((major as u32) << 16 | minor as u32)
    }
    /// Changes when old and new cannot talk.
    pub const fn major(self) -> u16 {
        (self.0 >> 16) as u16
    }
    /// Grows when something is added.
    pub const fn minor(self) -> u16 {
        (self.0 & 0xFFFF) as u16
    }
    /// True if a side of this version can talk to one of the other.
    pub const fn fits(self, other: Self) -> bool {
        self.major() == other.major()
    }
    /// True if a side of this version understands [`crate::Event::Moved`].
    pub const fn knows_moves(self) -> bool {
        self.minor() >= 1
    }
    /// What two sides that fit speak with each other.
    #[must_use]
    pub fn common(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }
}

impl fmt::Display for AbiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major(), self.minor())
    }
}
