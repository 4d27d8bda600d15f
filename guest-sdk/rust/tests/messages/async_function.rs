#[pulselet::function]
async fn f(input: String) -> String {
    input
}

fn main() {}
