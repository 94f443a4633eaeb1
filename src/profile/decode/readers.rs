//! Lists, maps and tagged maps, item by item.

use serde::Deserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use super::failure::Failure;
use super::{Decoder, Session};
use crate::profile::tree::{Entry, Node};

pub(super) struct ListReader<'a> {
    pub items: std::slice::Iter<'a, Node>,
    pub session: &'a Session<'a>,
}

impl<'de> de::SeqAccess<'de> for ListReader<'_> {
    type Error = Failure;

    /// An item that is wrong ends this round; the next one reads the list without it.
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Failure> {
        let session = self.session;
        let Some(node) = self.items.find(|item| !session.is_out(item)) else { return Ok(None) };
        let value = seed.deserialize(Decoder { node, session });
        value.map(Some).map_err(|failure| session.report(failure, node))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

pub(super) struct MapReader<'a> {
    pub entries: std::slice::Iter<'a, Entry>,
    pub value: Option<&'a Entry>,
    pub session: &'a Session<'a>,
}

impl<'de> de::MapAccess<'de> for MapReader<'_> {
    type Error = Failure;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Failure> {
        let session = self.session;
        let Some(entry) = self.entries.find(|entry| !session.is_out(&entry.node)) else { return Ok(None) };
        self.value = Some(entry);
        let key: de::value::StrDeserializer<'_, Failure> = (&*entry.key).into_deserializer();
        match seed.deserialize(key) {
            Ok(key) => Ok(Some(key)),
            Err(failure) => {
                self.session.report_key(failure, entry);
                Err(Failure::Reported)
            }
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Failure> {
        let entry = self.value.take().expect("serde asks for a value after its key");
        seed.deserialize(Decoder { node: &entry.node, session: self.session })
            .map_err(|failure| self.session.report(failure, &entry.node))
    }
}

/// The one key of a map that chooses a variant.
pub(super) struct TagReader<'a> {
    pub entry: &'a Entry,
    pub session: &'a Session<'a>,
}

impl<'de> de::EnumAccess<'de> for TagReader<'_> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Failure> {
        let key: de::value::StrDeserializer<'_, Failure> = (&*self.entry.key).into_deserializer();
        match seed.deserialize(key) {
            Ok(variant) => Ok((variant, self)),
            Err(failure) => {
                self.session.report_key(failure, self.entry);
                Err(Failure::Reported)
            }
        }
    }
}

impl<'de> de::VariantAccess<'de> for TagReader<'_> {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Failure> {
        seed.deserialize(Decoder { node: &self.entry.node, session: self.session })
            .map_err(|failure| self.session.report(failure, &self.entry.node))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Failure> {
        Decoder { node: &self.entry.node, session: self.session }.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        Decoder { node: &self.entry.node, session: self.session }.deserialize_struct("", fields, visitor)
    }
}
