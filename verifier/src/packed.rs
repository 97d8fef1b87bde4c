//! Values in few bytes, for snapshots of the book only: the trail, its proofs and its receipts have forms of their own.
//!
//! Integers are LEB128 (signed ones zigzag), texts and lists carry their length, enums a number a variant. What is read is checked:
//! ranges, ascending keys, lengths. A record names all its members, so that a new one is a compile error until it is packed.
//! [`crate::book::snapshot`] calls this.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Bytes that are not of the form that they should have; the snapshot is of no use then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotPacked;

/// A value that can be part of a snapshot. INVARIANT: `take` gives what was `put`, and reads exactly its bytes.
pub(crate) trait Packed: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked>;
}

/// What is left to read.
pub(crate) struct Unpacker<'a> {
    left: &'a [u8],
    /// One copy of each shared text: ids of funds and programmes come again and again.
    texts: BTreeMap<&'a str, Arc<str>>,
}

impl<'a> Unpacker<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            left: bytes,
            texts: BTreeMap::new(),
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], NotPacked> {
        let (bytes, left) = self.left.split_at_checked(count).ok_or(NotPacked)?;
        self.left = left;
        Ok(bytes)
    }

    fn count(&mut self) -> Result<usize, NotPacked> {
        let count = usize::try_from(u64::take(self)?).map_err(|_| NotPacked)?;
        // Everything takes a byte at least: a length beyond what is left is wrong, and would reserve too much.
        (count <= self.left.len()).then_some(count).ok_or(NotPacked)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, NotPacked> {
        let count = self.count()?;
        std::str::from_utf8(self.bytes(count)?).map_err(|_| NotPacked)
    }
}

/// A record: its members, in the order in which they are named.
macro_rules! packed {
    ($($name:ident { $($field:ident),* $(,)? })*) => {$(
        impl crate::packed::Packed for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $(crate::packed::Packed::put($field, out);)*
            }
            fn take(from: &mut crate::packed::Unpacker<'_>) -> Result<Self, crate::packed::NotPacked> {
                $(let $field = crate::packed::Packed::take(from)?;)*
                Ok(Self { $($field),* })
            }
        }
    )*};
}

/// A newtype without a rule of its own.
macro_rules! packed_newtype {
    ($($name:ident),*) => {$(
        impl crate::packed::Packed for $name {
            fn put(&self, out: &mut Vec<u8>) {
                crate::packed::Packed::put(&self.0, out);
            }
            fn take(from: &mut crate::packed::Unpacker<'_>) -> Result<Self, crate::packed::NotPacked> {
                crate::packed::Packed::take(from).map(Self)
            }
        }
    )*};
}

/// An enum: a number a variant, never reused, then what the variant holds.
macro_rules! packed_enum {
    ($name:ident { $($tag:literal => $variant:ident $(($($item:ident),*))? $({$($field:ident),*})?),* $(,)? }) => {
        impl crate::packed::Packed for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($($item),*))? $({$($field),*})? => {
                        out.push($tag);
                        $($(crate::packed::Packed::put($item, out);)*)?
                        $($(crate::packed::Packed::put($field, out);)*)?
                    })*
                }
            }
            fn take(from: &mut crate::packed::Unpacker<'_>) -> Result<Self, crate::packed::NotPacked> {
                match <u8 as crate::packed::Packed>::take(from)? {
                    $($tag => {
                        $($(let $item = crate::packed::Packed::take(from)?;)*)?
                        $($(let $field = crate::packed::Packed::take(from)?;)*)?
                        Ok(Self::$variant $(($($item),*))? $({$($field),*})?)
                    })*
                    _ => Err(crate::packed::NotPacked),
                }
            }
        }
    };
}

/// A word of a closed vocabulary: its text, which outlives the order of the variants. `parse` gives an `Option` or a `Result`.
macro_rules! packed_word {
    ($($name:ident),*) => {$(
        impl crate::packed::Packed for $name {
            fn put(&self, out: &mut Vec<u8>) {
                crate::packed::put_text(self.as_str(), out);
            }
            fn take(from: &mut crate::packed::Unpacker<'_>) -> Result<Self, crate::packed::NotPacked> {
                Self::parse(from.text()?).into_iter().next().ok_or(crate::packed::NotPacked)
            }
        }
    )*};
}

impl Packed for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked> {
        from.bytes(1)?.first().copied().ok_or(NotPacked)
    }
}

impl Packed for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        let mut left = *self;
        while left >= 0x80 {
            out.push(u8::try_from(left & 0x7f).unwrap_or_default() | 0x80);
            left >>= 7;
        }
        out.push(u8::try_from(left).unwrap_or_default());
    }

    fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked> {
        let mut value = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = u8::take(from)?;
            let part = Self::from(byte & 0x7f);
            let placed = part << shift;
            // Neither beyond 64 bits nor longer than it needs to be: one spelling a number.
            if placed >> shift != part || (byte == 0 && shift > 0) {
                return Err(NotPacked);
            }
            value |= placed;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(NotPacked)
    }
}

impl Packed for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        ((self << 1) ^ (self >> 63)).cast_unsigned().put(out);
    }

    fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked> {
        let value = u64::take(from)?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }
}

macro_rules! packed_smaller {
    ($($name:ident as $wide:ident),*) => {$(
        impl Packed for $name {
            fn put(&self, out: &mut Vec<u8>) {
                // These are never wider than what they are written as.
                $wide::try_from(*self).unwrap_or_default().put(out);
            }
            fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked> {
                Self::try_from($wide::take(from)?).map_err(|_| NotPacked)
            }
        }
    )*};
}
packed_smaller!(u16 as u64, u32 as u64, usize as u64, i16 as i64);

impl Packed for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked> {
        match u8::take(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(NotPacked),
        }
    }
}

impl<const N: usize> Packed for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked> {
        from.bytes(N)?.try_into().map_err(|_| NotPacked)
    }
}

impl Packed for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self, out);
    }

    fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked> {
        from.text().map(str::to_owned)
    }
}

impl Packed for Arc<str> {
    fn put(&self, out: &mut Vec<u8>) {
        put_text(self, out);
    }

    fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked> {
        let text = from.text()?;
        Ok(Self::clone(
            from.texts.entry(text).or_insert_with(|| text.into()),
        ))
    }
}

pub(crate) fn put_text(text: &str, out: &mut Vec<u8>) {
    text.len().put(out);
    out.extend_from_slice(text.as_bytes());
}

impl<T: Packed> Packed for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked> {
        bool::take(from)?.then(|| T::take(from)).transpose()
    }
}

impl<T: Packed> Packed for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_all(self.len(), self, out);
    }

    fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked> {
        let count = from.count()?;
        (0..count).map(|_| T::take(from)).collect()
    }
}

impl<T: Packed> Packed for Box<[T]> {
    fn put(&self, out: &mut Vec<u8>) {
        put_all(self.len(), self, out);
    }

    fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked> {
        Vec::take(from).map(Self::from)
    }
}

impl<T: Packed> Packed for VecDeque<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_all(self.len(), self, out);
    }

    fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked> {
        Vec::take(from).map(Self::from)
    }
}

fn put_all<'a, T: Packed + 'a>(
    count: usize,
    items: impl IntoIterator<Item = &'a T>,
    out: &mut Vec<u8>,
) {
    count.put(out);
    items.into_iter().for_each(|item| item.put(out));
}

impl<T: Packed + Ord> Packed for BTreeSet<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_all(self.len(), self, out);
    }

    fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked> {
        let items = Vec::<T>::take(from)?;
        if !items.is_sorted_by(|a, b| a < b) {
            return Err(NotPacked);
        }
        Ok(items.into_iter().collect())
    }
}

impl<K: Packed + Ord, V: Packed> Packed for BTreeMap<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        self.len().put(out);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }

    fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked> {
        let pairs = Vec::<(K, V)>::take(from)?;
        if !pairs.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Err(NotPacked);
        }
        Ok(pairs.into_iter().collect())
    }
}

macro_rules! packed_tuple {
    ($($name:ident $item:ident),*) => {
        impl<$($name: Packed),*> Packed for ($($name,)*) {
            fn put(&self, out: &mut Vec<u8>) {
                let ($($item,)*) = self;
                $($item.put(out);)*
            }
            fn take(from: &mut Unpacker<'_>) -> Result<Self, NotPacked> {
                Ok(($($name::take(from)?,)*))
            }
        }
    };
}
packed_tuple!(A a, B b);
packed_tuple!(A a, B b, C c);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round<T: Packed>(value: &T) -> T {
        let mut bytes = Vec::new();
        value.put(&mut bytes);
        let mut from = Unpacker::new(&bytes);
        let read = T::take(&mut from).unwrap();
        assert!(from.is_empty());
        read
    }

    proptest! {
        #[test]
        fn what_is_put_is_taken(
            a in any::<u64>(),
            b in any::<i64>(),
            c in any::<Option<u16>>(),
            d in any::<Vec<String>>(),
            e in any::<BTreeMap<i16, bool>>(),
        ) {
            prop_assert_eq!(round(&a), a);
            prop_assert_eq!(round(&b), b);
            prop_assert_eq!(round(&c), c);
            prop_assert_eq!(round(&d), d);
            prop_assert_eq!(round(&e), e);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
            let _read = BTreeMap::<String, Vec<(i64, Option<[u8; 3]>)>>::take(&mut Unpacker::new(&bytes));
        }
    }

    #[test]
    fn only_the_form_that_is_written_is_read() {
        let read = |bytes: &[u8]| BTreeMap::<u8, bool>::take(&mut Unpacker::new(bytes));
        assert_eq!(read(&[2, 1, 0, 2, 1]).unwrap().len(), 2);
        for bad in [
            &[][..],
            &[1],
            &[1, 7, 2],
            &[2, 2, 0, 1, 0],
            &[2, 1, 0, 1, 0],
            &[0xff; 11],
            &[0x81, 0, 1, 0],
        ] {
            assert_eq!(read(bad), Err(NotPacked), "{bad:?}");
        }
    }
}
