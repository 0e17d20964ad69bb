//! A column of numbers as stored: the lowest byte of each, then the second of each, the third, the highest. Bytes of one nature
//! stand together, so that they compress to about what they tell: a page of the index takes a fifth less than with each number whole.

use serde::{Deserialize, Serialize};

const BYTES: usize = size_of::<u32>();

/// Numbers that are stored byte plane after byte plane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<u8>", try_from = "Vec<u8>")]
pub struct Column(Vec<u32>);

impl Column {
    /// The numbers.
    pub fn numbers(&self) -> &[u32] {
        &self.0
    }
}

impl FromIterator<u32> for Column {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        Self(numbers.into_iter().collect())
    }
}

impl From<Column> for Vec<u8> {
    fn from(column: Column) -> Self {
        let mut planes = Self::with_capacity(column.0.len() * BYTES);
        for plane in 0..BYTES {
            planes.extend(column.0.iter().map(|number| number.to_le_bytes()[plane]));
        }
        planes
    }
}

impl TryFrom<Vec<u8>> for Column {
    type Error = &'static str;

    fn try_from(planes: Vec<u8>) -> Result<Self, Self::Error> {
        let count = planes.len() / BYTES;
        if count * BYTES != planes.len() {
            return Err("a column is cut off");
        }
        let number = |row| u32::from_le_bytes(std::array::from_fn(|plane| planes[plane * count + row]));
        Ok((0..count).map(number).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_come_back_as_numbers() {
        let column: Column = [0, 1, 0x0403_0201, u32::MAX].into_iter().collect();
        let planes = Vec::from(column.clone());
        assert_eq!(planes[..8], [0, 1, 1, 255, 0, 0, 2, 255]);
        assert_eq!(Column::try_from(planes), Ok(column));
        assert!(Column::try_from(vec![0; 7]).is_err());
        assert_eq!(Column::try_from(Vec::new()), Ok(Column::default()));
    }
}
