#[pulselet::batch_function]
fn f(_: &pulselet::FunctionContext) -> Vec<String> {
    Vec::new()
}

fn main() {}
