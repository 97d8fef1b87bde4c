//! What left the funds for a voucher or claim, and in which counter year (DESIGN §4.2, §4.4).

use super::counter::CounterKey;
use crate::money::{Fen, Overflow};

/// What left the funds for a voucher or claim and counts under caps, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draws(Vec<(Vec<CounterKey>, Fen)>);

impl Draws {
    /// Notes that `fen` left the funds and raised these counters.
    /// # Errors
    /// [`Overflow`].
    pub fn raise(&mut self, keys: &[CounterKey], fen: Fen) -> Result<(), Overflow> {
        match self.0.last_mut() {
            _ if fen.is_zero() => {}
            Some((last, sum)) if last == keys => *sum = sum.plus(fen)?,
            Some(_) | None => self.0.push((keys.to_vec(), fen)),
        }
        Ok(())
    }

    /// Notes that `fen` came back, the newest draw first; returns what each counter falls by.
    /// # Errors
    /// [`Overflow`] if more comes back than ever left.
    pub fn lower(&mut self, fen: Fen) -> Result<Vec<(CounterKey, i64)>, Overflow> {
        let mut left = fen;
        let mut lowered = Vec::new();
        while !left.is_zero() {
            let (keys, sum) = self.0.last_mut().ok_or(Overflow)?;
            let part = left.min(*sum);
            lowered.extend(keys.iter().map(|key| (key.clone(), -part.get())));
            *sum = sum.minus(part)?;
            left = left.minus(part)?;
            if sum.is_zero() {
                self.0.pop();
            }
        }
        Ok(lowered)
    }

    /// What is still out, by counter.
    pub fn iter(&self) -> impl Iterator<Item = (&CounterKey, Fen)> {
        self.0
            .iter()
            .flat_map(|(keys, fen)| keys.iter().map(move |key| (key, *fen)))
    }
}

/// What a programme that commits at settlement granted and forwent in one counter year.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layer {
    keys: Vec<CounterKey>,
    granted: Fen,
    forgone: Fen,
}

/// The grants of a claim that commits at settlement, by counter year, oldest first: what was forgone is so for good.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layers(Vec<Layer>);

impl Layers {
    /// All that was granted or forgone so far.
    /// # Errors
    /// [`Overflow`].
    pub fn total(&self) -> Result<Fen, Overflow> {
        self.0.iter().try_fold(Fen::ZERO, |sum, layer| {
            sum.plus(layer.granted)?.plus(layer.forgone)
        })
    }

    /// All that was forgone so far.
    /// # Errors
    /// [`Overflow`].
    pub fn forgone(&self) -> Result<Fen, Overflow> {
        self.0
            .iter()
            .try_fold(Fen::ZERO, |sum, layer| sum.plus(layer.forgone))
    }

    /// Adds to the year of `keys`.
    /// # Errors
    /// [`Overflow`].
    pub fn grow(
        &mut self,
        keys: &[CounterKey],
        granted: Fen,
        forgone: Fen,
    ) -> Result<(), Overflow> {
        if granted.is_zero() && forgone.is_zero() {
            return Ok(());
        }
        match self.0.last_mut() {
            Some(last) if last.keys == keys => {
                last.granted = last.granted.plus(granted)?;
                last.forgone = last.forgone.plus(forgone)?;
            }
            Some(_) | None => self.0.push(Layer {
                keys: keys.to_vec(),
                granted,
                forgone,
            }),
        }
        Ok(())
    }

    /// Takes use away that was corrected: the newest year first, in it the forgone part first. Returns what of it was
    /// granted.
    /// # Errors
    /// [`Overflow`] if more is taken than there is.
    pub fn shrink(&mut self, fen: Fen) -> Result<Fen, Overflow> {
        let mut left = fen;
        let mut granted = Fen::ZERO;
        while !left.is_zero() {
            let layer = self.0.last_mut().ok_or(Overflow)?;
            let forgone = left.min(layer.forgone);
            layer.forgone = layer.forgone.minus(forgone)?;
            left = left.minus(forgone)?;
            let part = left.min(layer.granted);
            layer.granted = layer.granted.minus(part)?;
            left = left.minus(part)?;
            granted = granted.plus(part)?;
            self.drop_empty();
        }
        Ok(granted)
    }

    /// Takes granted money away for good, the newest year first.
    /// # Errors
    /// [`Overflow`] if more is taken than was granted.
    pub fn claw(&mut self, fen: Fen) -> Result<(), Overflow> {
        let mut left = fen;
        for layer in self.0.iter_mut().rev() {
            let part = left.min(layer.granted);
            layer.granted = layer.granted.minus(part)?;
            left = left.minus(part)?;
        }
        self.drop_empty();
        if left.is_zero() {
            Ok(())
        } else {
            Err(Overflow)
        }
    }

    fn drop_empty(&mut self) {
        let empty = |layer: &Layer| layer.granted.is_zero() && layer.forgone.is_zero();
        while self.0.last().is_some_and(empty) {
            self.0.pop();
        }
    }
}

packed_newtype!(Draws, Layers);
packed!(Layer {
    keys,
    granted,
    forgone
});
