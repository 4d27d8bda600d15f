#[pulselet::function]
fn f<T: serde::de::DeserializeOwned>(input: pulselet::Json<T>) {
    drop(input);
}

fn main() {}
