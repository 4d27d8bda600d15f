use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value;

use crate::function::Function;

/// The JSON Schema (draft 2020-12) of a [`Function`], with all parts in place and without references.
///
/// What [`parse`](crate::parse) says about unknown fields, types and ranges comes from this very schema.
pub fn schema() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<Function>();
    RecursiveTransform(given_means_given).transform(&mut schema);
    schema.to_value()
}

/// Fields that may be left out may not be given as `null`: `output:` with nothing behind it is a mistake, not a wish.
fn given_means_given(schema: &mut schemars::Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [single] = types.as_slice() {
            let single = single.clone();
            object.insert("type".to_owned(), single);
        }
    }
    if let Some(Value::Array(mut choices)) = object.remove("anyOf") {
        choices.retain(|choice| choice.get("type") != Some(&Value::from("null")));
        match choices.as_mut_slice() {
            [Value::Object(only)] => {
                for (name, value) in std::mem::take(only) {
                    object.entry(name).or_insert(value);
                }
            }
            _ => {
                object.insert("anyOf".to_owned(), choices.into());
            }
        }
    }
    // An enum's variant that has several spellings lists them; the one that derives from its name is among them.
    if object.contains_key("enum") {
        object.remove("const");
    }
}
