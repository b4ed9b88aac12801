//! Canonical extended JSON v2 of raw BSON and back, for metadata.
//!
//! Keys keep their order and their duplicates, numbers their types. Follows the specification
//! `source/extended-json/extended-json.md` of mongodb/specifications.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mongodb::bson::raw::CString;
use mongodb::bson::{
    RawArrayBuf, RawBson, RawBsonRef, RawDocument, RawDocumentBuf, RawJavaScriptCodeWithScope,
};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Why metadata could not be written as, or read from, extended JSON.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not BSON.
    #[error("not BSON: {0}")]
    Bson(#[from] mongodb::bson::error::Error),
    /// Not JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but not extended JSON.
    #[error("`{key}` of extended JSON is wrong: {why}")]
    Extended {
        /// The key that tells the type, or the document's own.
        key: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Writes a document.
pub fn write(document: &RawDocument) -> Result<String, Error> {
    let mut out = String::new();
    write_document(document, &mut out)?;
    Ok(out)
}

/// Writes one value.
pub fn write_value(value: RawBsonRef<'_>) -> Result<String, Error> {
    let mut out = String::new();
    value_to(value, &mut out)?;
    Ok(out)
}

fn write_document(document: &RawDocument, out: &mut String) -> Result<(), Error> {
    out.push('{');
    for (at, element) in document.iter().enumerate() {
        let (key, value) = element?;
        if at > 0 {
            out.push(',');
        }
        quote(key.as_str(), out)?;
        out.push(':');
        value_to(value, out)?;
    }
    out.push('}');
    Ok(())
}

fn value_to(value: RawBsonRef<'_>, out: &mut String) -> Result<(), Error> {
    match value {
        RawBsonRef::String(text) => quote(text, out)?,
        RawBsonRef::Document(document) => write_document(document, out)?,
        RawBsonRef::Array(array) => {
            out.push('[');
            for (at, element) in array.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                value_to(element?, out)?;
            }
            out.push(']');
        }
        RawBsonRef::Boolean(value) => out.push_str(if value { "true" } else { "false" }),
        RawBsonRef::Null => out.push_str("null"),
        RawBsonRef::Int32(value) => typed("$numberInt", &value.to_string(), out)?,
        RawBsonRef::Int64(value) => typed("$numberLong", &value.to_string(), out)?,
        RawBsonRef::Double(value) => typed("$numberDouble", &double(value), out)?,
        RawBsonRef::Decimal128(value) => typed("$numberDecimal", &value.to_string(), out)?,
        RawBsonRef::ObjectId(value) => typed("$oid", &value.to_hex(), out)?,
        RawBsonRef::Symbol(value) => typed("$symbol", value, out)?,
        RawBsonRef::JavaScriptCode(value) => typed("$code", value, out)?,
        RawBsonRef::JavaScriptCodeWithScope(value) => {
            out.push_str("{\"$code\":");
            quote(value.code, out)?;
            out.push_str(",\"$scope\":");
            write_document(value.scope, out)?;
            out.push('}');
        }
        RawBsonRef::DateTime(value) => {
            out.push_str("{\"$date\":");
            typed("$numberLong", &value.timestamp_millis().to_string(), out)?;
            out.push('}');
        }
        RawBsonRef::Timestamp(value) => {
            let (t, i) = (value.time, value.increment);
            out.push_str("{\"$timestamp\":{\"t\":");
            out.push_str(&t.to_string());
            out.push_str(",\"i\":");
            out.push_str(&i.to_string());
            out.push_str("}}");
        }
        RawBsonRef::RegularExpression(value) => {
            out.push_str("{\"$regularExpression\":{\"pattern\":");
            quote(value.pattern.as_str(), out)?;
            out.push_str(",\"options\":");
            quote(value.options.as_str(), out)?;
            out.push_str("}}");
        }
        RawBsonRef::Binary(value) => {
            out.push_str("{\"$binary\":{\"base64\":\"");
            STANDARD.encode_string(value.bytes, out);
            out.push_str("\",\"subType\":\"");
            out.push_str(&hex::encode([u8::from(value.subtype)]));
            out.push_str("\"}}");
        }
        RawBsonRef::Undefined => out.push_str("{\"$undefined\":true}"),
        RawBsonRef::MinKey => out.push_str("{\"$minKey\":1}"),
        RawBsonRef::MaxKey => out.push_str("{\"$maxKey\":1}"),
        RawBsonRef::DbPointer(_) => {
            return Err(wrong("$dbPointer", "a deprecated type that no metadata has"));
        }
    }
    Ok(())
}

/// The shortest text that reads back as the same number, always recognisable as a double.
fn double(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else {
        format!("{value:?}")
    }
}

fn typed(key: &str, value: &str, out: &mut String) -> Result<(), Error> {
    out.push('{');
    quote(key, out)?;
    out.push(':');
    quote(value, out)?;
    out.push('}');
    Ok(())
}

fn quote(text: &str, out: &mut String) -> Result<(), Error> {
    out.push_str(&serde_json::to_string(text)?);
    Ok(())
}

/// JSON whose objects keep the order and the duplicates of their keys.
#[derive(Debug)]
enum Json {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Arrays and objects that may stand in one another. A server takes documents of 200 levels, a value that tells its type
/// adds up to two, and the metadata around it a few.
const DEEPEST: usize = 256;

/// Reads a document.
pub fn read(text: &str) -> Result<RawDocumentBuf, Error> {
    match parse_json(text.trim_start(), DEEPEST)? {
        Json::Object(pairs) => to_document(&pairs),
        _ => Err(wrong("metadata", "not a document")),
    }
}

/// Reads JSON level by level: in one go `serde_json` reads 128 levels at most, which nested conditions of a view exceed.
/// A level needs little of the stack, here and in what follows.
fn parse_json(text: &str, levels: usize) -> Result<Json, Error> {
    let Some(first @ (b'{' | b'[')) = text.as_bytes().first() else { return Ok(serde_json::from_str(text)?) };
    let Some(inner) = levels.checked_sub(1) else { return Err(wrong("metadata", "nested too deeply")) };
    if *first == b'[' {
        let texts: Vec<&RawValue> = serde_json::from_str(text)?;
        let mut values = Vec::with_capacity(texts.len());
        for value in texts {
            values.push(parse_json(value.get(), inner)?);
        }
        return Ok(Json::Array(values));
    }
    let Pairs(texts) = serde_json::from_str(text)?;
    let mut pairs = Vec::with_capacity(texts.len());
    for (key, value) in texts {
        pairs.push((key, parse_json(value.get(), inner)?));
    }
    Ok(Json::Object(pairs))
}

fn to_document(pairs: &[(String, Json)]) -> Result<RawDocumentBuf, Error> {
    let mut document = RawDocumentBuf::new();
    for (key, value) in pairs {
        let name = CString::try_from(key.clone())?;
        document.append(&name, to_value(value)?);
    }
    Ok(document)
}

fn to_value(json: &Json) -> Result<RawBson, Error> {
    match json {
        Json::Array(values) => {
            let mut array = RawArrayBuf::new();
            for value in values {
                array.push(to_value(value)?);
            }
            Ok(RawBson::Array(array))
        }
        Json::Object(pairs) => match typed_value(pairs)? {
            Some(value) => Ok(value),
            // Not a type: operators of a pipeline, a validator or a partial filter.
            None => to_document(pairs).map(RawBson::Document),
        },
        Json::Null => Ok(RawBson::Null),
        Json::Bool(value) => Ok(RawBson::Boolean(*value)),
        // Relaxed numbers, as other programs may write them: the smallest type that holds the value.
        Json::Integer(value) => Ok(i32::try_from(*value).map_or(RawBson::Int64(*value), RawBson::Int32)),
        Json::Float(value) => Ok(RawBson::Double(*value)),
        Json::String(value) => Ok(RawBson::String(value.clone())),
    }
}

/// The value whose type the keys tell, if they do.
fn typed_value(pairs: &[(String, Json)]) -> Result<Option<RawBson>, Error> {
    if !pairs.first().is_some_and(|(key, _)| key.starts_with('$')) {
        return Ok(None);
    }
    let shape: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).collect();
    Ok(Some(match (shape.as_slice(), pairs) {
        (["$numberInt"], [(key, Json::String(text))]) => RawBson::Int32(parse(key, text)?),
        (["$numberLong"], [(key, Json::String(text))]) => RawBson::Int64(parse(key, text)?),
        (["$numberDouble"], [(key, Json::String(text))]) => RawBson::Double(parse(key, text)?),
        (["$numberDecimal"], [(key, Json::String(text))]) => RawBson::Decimal128(parse(key, text)?),
        (["$oid"], [(key, Json::String(text))]) => RawBson::ObjectId(parse(key, text)?),
        (["$symbol"], [(_, Json::String(text))]) => RawBson::Symbol(text.clone()),
        (["$code"], [(_, Json::String(text))]) => RawBson::JavaScriptCode(text.clone()),
        (["$code", "$scope"], [(_, Json::String(code)), (_, Json::Object(_))]) => {
            code_with_scope(code, pairs)?
        }
        (["$undefined"], _) => RawBson::Undefined,
        (["$minKey"], _) => RawBson::MinKey,
        (["$maxKey"], _) => RawBson::MaxKey,
        (["$date"], [(key, Json::Object(inner))]) => date(key, inner)?,
        (["$timestamp"], [(key, Json::Object(inner))]) => timestamp(key, inner)?,
        (["$regularExpression"], [(key, Json::Object(inner))]) => regular_expression(key, inner)?,
        (["$binary"], [(key, Json::Object(inner))]) => binary(key, inner)?,
        _ => return Ok(None),
    }))
}

fn code_with_scope(code: &str, pairs: &[(String, Json)]) -> Result<RawBson, Error> {
    let scope = match pairs {
        [_, (_, Json::Object(scope))] => to_document(scope)?,
        _ => return Err(wrong("$scope", "not canonical")),
    };
    Ok(RawBson::JavaScriptCodeWithScope(RawJavaScriptCodeWithScope { code: code.to_owned(), scope }))
}

fn date(key: &str, inner: &[(String, Json)]) -> Result<RawBson, Error> {
    match inner {
        [(long, Json::String(text))] if long == "$numberLong" => {
            Ok(RawBson::DateTime(mongodb::bson::DateTime::from_millis(parse(key, text)?)))
        }
        _ => Err(wrong(key, "not canonical")),
    }
}

fn timestamp(key: &str, inner: &[(String, Json)]) -> Result<RawBson, Error> {
    match inner {
        [(t, Json::Integer(time)), (i, Json::Integer(increment))] if t == "t" && i == "i" => {
            let narrow = |value: i64| u32::try_from(value).map_err(|error| wrong(key, error));
            let (time, increment) = (narrow(*time)?, narrow(*increment)?);
            Ok(RawBson::Timestamp(mongodb::bson::Timestamp { time, increment }))
        }
        _ => Err(wrong(key, "not canonical")),
    }
}

fn regular_expression(key: &str, inner: &[(String, Json)]) -> Result<RawBson, Error> {
    match inner {
        [(p, Json::String(pattern)), (o, Json::String(options))] if p == "pattern" && o == "options" => {
            let pattern = CString::try_from(pattern.clone())?;
            let options = CString::try_from(options.clone())?;
            Ok(RawBson::RegularExpression(mongodb::bson::Regex { pattern, options }))
        }
        _ => Err(wrong(key, "not canonical")),
    }
}

fn binary(key: &str, inner: &[(String, Json)]) -> Result<RawBson, Error> {
    match inner {
        [(b, Json::String(base64)), (s, Json::String(subtype))] if b == "base64" && s == "subType" => {
            let bytes = STANDARD.decode(base64).map_err(|error| wrong(key, error))?;
            let subtype = u8::from_str_radix(subtype, 16).map_err(|error| wrong(key, error))?;
            Ok(RawBson::Binary(mongodb::bson::Binary { subtype: subtype.into(), bytes }))
        }
        _ => Err(wrong(key, "not canonical")),
    }
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(key: &str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|error| wrong(key, error))
}

fn wrong(key: &str, why: impl std::fmt::Display) -> Error {
    Error::Extended { key: key.to_owned(), why: why.to_string() }
}

/// The keys of an object with the text of their values.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Only of what holds nothing else.
impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl Visitor<'_> for Scalar {
            type Value = Json;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Bool(value))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Integer(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Json, E> {
                i64::try_from(value).map(Json::Integer).map_err(E::custom)
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
                Ok(Json::Float(value))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Json, E> {
                Ok(Json::String(value.to_owned()))
            }
        }
        deserializer.deserialize_any(Scalar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::{Decimal128, Timestamp, oid::ObjectId, rawdoc};

    #[test]
    fn every_type_comes_back_byte_for_byte() {
        let mut document = rawdoc! {
            "double": 1.0, "tiny": 5e-324, "large": 1e300, "infinite": f64::NEG_INFINITY, "negative zero": -0.0,
            "string": "quote \" backslash \\ newline \n null \u{0} snow ☃",
            "document": { "b": 1_i32, "a": 2_i64 },
            "array": [1_i32, [], {}],
            "int": i32::MIN, "long": i64::MIN, "bool": true, "null": RawBson::Null,
            "oid": ObjectId::from_bytes([7; 12]),
            "date": mongodb::bson::DateTime::from_millis(-62_135_596_800_000),
            "timestamp": Timestamp { time: u32::MAX, increment: 1 },
            "binary": mongodb::bson::Binary { subtype: 0x80.into(), bytes: vec![0, 255] },
            "decimal": "1.50E+10".parse::<Decimal128>().unwrap(),
            "undefined": RawBson::Undefined, "min": RawBson::MinKey, "max": RawBson::MaxKey,
            "symbol": RawBson::Symbol("s".into()), "code": RawBson::JavaScriptCode("f()".into()),
            "operators": { "$and": [{ "$or": [] }], "$expr": { "$gt": ["$a", 1_i32] } },
            "": "an empty key",
        };
        let twice: CString = CString::try_from("int".to_owned()).unwrap();
        document.append(&twice, 7_i32);
        let text = write(&document).unwrap();
        assert_eq!(read(&text).unwrap().as_bytes(), document.as_bytes(), "{text}");
    }

    #[test]
    fn conditions_within_conditions_come_back() {
        let nested = |levels: usize| {
            (0..levels).fold(rawdoc! { "a": 1_i64 }, |inner, _| rawdoc! { "$cond": [true, inner, 0_i32] })
        };
        let deep = rawdoc! { "options": { "pipeline": [{ "$set": nested(95) }] } };
        assert_eq!(read(&write(&deep).unwrap()).unwrap(), deep);
        // What no server has must not exhaust the stack.
        let deeper = format!("{}1{}", "{\"a\":".repeat(300), "}".repeat(300));
        assert!(read(&deeper).unwrap_err().to_string().contains("nested too deeply"));
        let deepest = format!("{}1{}", "{\"a\":".repeat(DEEPEST), "}".repeat(DEEPEST));
        read(&deepest).unwrap();
        assert!(read(&"{\"a\":".repeat(1_000_000)).is_err());
    }

    #[test]
    fn the_text_is_canonical() {
        let document = rawdoc! { "v": 2_i32, "e": 1.0, "k": { "a": 1_i64 } };
        let text = r#"{"v":{"$numberInt":"2"},"e":{"$numberDouble":"1.0"},"k":{"a":{"$numberLong":"1"}}}"#;
        assert_eq!(write(&document).unwrap(), text);
    }

    #[test]
    fn damaged_text_is_refused() {
        for text in [
            "",
            "[]",
            "{",
            r#"{"a":{"$numberInt":"x"}}"#,
            r#"{"a":{"$binary":{"base64":"!","subType":"00"}}}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
