//! Vector sets, the module's type that Redis 8 brings: elements one after the other, in the order of their insertion.
//!
//! A server that has loaded one writes its elements the other way round. So the parts of each element are hashed for
//! themselves, and the hashes added up: that tells whether a copy has the same elements, with the same vectors,
//! attributes and links.

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// The name of the module's type.
pub(super) const NAME: &str = "vectorset";

/// Bits of the fourth number: a projection follows, and elements have attributes.
const PROJECTION: u64 = 1;
const ATTRIBUTES: u64 = 2;

/// What a module wrote, piece by piece.
pub(super) enum Part<'a> {
    /// A number, with or without sign.
    Number(u64),
    /// A string.
    Text(&'a [u8]),
    /// A fraction.
    Fraction,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Dimension, elements, settings, flags: so many of them are past.
    Head(u8),
    /// The dimension that the projection takes.
    Dimension,
    Matrix,
    Element,
    Attribute,
    Vector,
    /// How many numbers follow: id, level and links.
    Count,
    Numbers(u64),
}

/// Adds up the elements of a vector set.
pub(super) struct Elements {
    place: Option<Place>,
    flags: u64,
    head: Xxh3,
    element: Xxh3,
    sum: u128,
}

impl Elements {
    pub(super) fn new() -> Self {
        Self { place: Some(Place::Head(0)), flags: 0, head: Xxh3::new(), element: Xxh3::new(), sum: 0 }
    }

    /// Takes the next part. What does not fit is of a layout that is not known: then there is no sum.
    pub(super) fn take(&mut self, part: &Part<'_>) {
        let Some(place) = self.place else { return };
        self.place = match (place, part) {
            (Place::Head(_) | Place::Dimension | Place::Count | Place::Numbers(_), Part::Number(number)) => {
                Some(self.number(place, *number))
            }
            (Place::Matrix | Place::Element | Place::Attribute | Place::Vector, Part::Text(text)) => {
                Some(self.text(place, text))
            }
            _ => None,
        };
    }

    fn number(&mut self, place: Place, number: u64) -> Place {
        let head = matches!(place, Place::Head(_) | Place::Dimension);
        let hasher = if head { &mut self.head } else { &mut self.element };
        hasher.update(&number.to_le_bytes());
        match place {
            Place::Head(at @ 0..=2) => Place::Head(at + 1),
            Place::Head(_) => {
                self.flags = number;
                if number & PROJECTION == 0 { Place::Element } else { Place::Dimension }
            }
            Place::Dimension => Place::Matrix,
            Place::Count if number > 0 => Place::Numbers(number),
            Place::Numbers(left @ 2..) => Place::Numbers(left - 1),
            _ => {
                self.sum = self.sum.wrapping_add(self.element.digest128());
                Place::Element
            }
        }
    }

    fn text(&mut self, place: Place, text: &[u8]) -> Place {
        if place == Place::Element {
            self.element.reset();
        }
        let hasher = if place == Place::Matrix { &mut self.head } else { &mut self.element };
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text);
        match place {
            Place::Matrix => Place::Element,
            Place::Element if self.flags & ATTRIBUTES != 0 => Place::Attribute,
            Place::Element | Place::Attribute => Place::Vector,
            _ => Place::Count,
        }
    }

    /// The hash of all; `None` if the layout was another.
    pub(super) fn sum(self) -> Option<u128> {
        let whole = self.place == Some(Place::Element);
        whole.then(|| self.sum.wrapping_add(xxh3_128(&self.head.digest128().to_le_bytes())))
    }
}
