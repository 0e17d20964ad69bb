//! A run of bytes that crosses by pointer and is freed by the side that made it.
#![expect(
    unsafe_code,
    reason = "bytes of the other side are reached by pointer and released through its function"
)]

use std::{ffi::c_void, ptr, slice};

use bytes::Bytes;

use crate::{Error, Result};

/// Bytes with an owner on the side that made them. Dropping it calls the owner's release function, once, on any thread.
#[derive(Debug)]
#[repr(C)]
pub struct Buffer {
    ptr: *const u8,
    len: usize,
    owner: *mut c_void,
    release: Option<unsafe extern "C" fn(*mut c_void)>,
}

// SAFETY: the boundary's contract is that the bytes do not change while a buffer lives, and that `release` may be called on any thread.
unsafe impl Send for Buffer {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// No bytes and no owner.
    pub const EMPTY: Self = Self { ptr: ptr::null(), len: 0, owner: ptr::null_mut(), release: None };

    /// Lends bytes to the other side without copying them.
    pub fn from_bytes(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::EMPTY;
        }
        Self::from_owner(bytes)
    }

    /// Lends what an owner holds. The owner is dropped when the other side is done.
    pub fn from_owner<T: AsRef<[u8]> + Send + Sync + 'static>(owner: T) -> Self {
        let owner = Box::new(owner);
        let bytes = (*owner).as_ref();
        let (ptr, len) = (bytes.as_ptr(), bytes.len());
        Self { ptr, len, owner: Box::into_raw(owner).cast(), release: Some(release_box::<T>) }
    }

    /// Takes the bytes over without copying; they are released when the last clone is dropped.
    ///
    /// An error of kind [`crate::ErrorKind::Bug`] if the pointer and the length cannot be those of bytes.
    pub fn into_bytes(self) -> Result<Bytes> {
        if self.len == 0 {
            return Ok(Bytes::new());
        }
        if self.ptr.is_null() || isize::try_from(self.len).is_err() {
            return Err(Error::bug("a buffer's pointer and length do not belong together"));
        }
        Ok(Bytes::from_owner(Lent(self)))
    }

    /// Takes the buffer out of a place, leaving an empty one.
    ///
    /// # Safety
    /// `place` is null or points to a valid buffer that nobody else reads meanwhile.
    pub(super) unsafe fn take(place: *mut Self) -> Self {
        if place.is_null() {
            return Self::EMPTY;
        }
        // SAFETY: the caller promises a valid, unshared place; it holds a valid buffer before and after.
        unsafe { ptr::replace(place, Self::EMPTY) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            // SAFETY: the maker gave this function for this owner, and `take` makes sure that it is called once.
            unsafe { release(self.owner) }
        }
    }
}

/// A buffer whose pointer and length were checked.
struct Lent(Buffer);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: checked in `into_bytes`; the maker keeps the bytes valid and unchanged until the release, which `self` holds back.
        unsafe { slice::from_raw_parts(self.0.ptr, self.0.len) }
    }
}

/// Frees an owner boxed by [`Buffer::from_owner`].
unsafe extern "C" fn release_box<T>(owner: *mut c_void) {
    // SAFETY: `owner` came out of `Box::into_raw` for this type, and a buffer releases once.
    let owner = unsafe { Box::from_raw(owner.cast::<T>()) };
    // A panic in a destructor must not cross; the memory is then lost, nothing more.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(owner)));
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    struct Counted(Vec<u8>, Arc<AtomicUsize>);

    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn bytes_cross_without_a_copy_and_are_released_once() {
        let released = Arc::new(AtomicUsize::new(0));
        let owner = Counted(vec![7; 1000], Arc::clone(&released));
        let at = owner.0.as_ptr();
        let bytes = Buffer::from_owner(owner).into_bytes().unwrap();
        assert_eq!(bytes.as_ptr(), at);
        let part = bytes.slice(10..20);
        drop(bytes);
        assert_eq!((part.len(), released.load(Ordering::SeqCst)), (10, 0));
        drop(part);
        assert_eq!(released.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_buffer_that_is_not_taken_over_is_released() {
        let released = Arc::new(AtomicUsize::new(0));
        drop(Buffer::from_owner(Counted(Vec::new(), Arc::clone(&released))));
        assert_eq!(released.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn impossible_pointers_and_lengths_are_refused() {
        let buffer = Buffer { ptr: ptr::null(), len: 1, owner: ptr::null_mut(), release: None };
        assert!(buffer.into_bytes().is_err());
        let buffer = Buffer { ptr: ptr::dangling(), len: usize::MAX, owner: ptr::null_mut(), release: None };
        assert!(buffer.into_bytes().is_err());
    }
}
