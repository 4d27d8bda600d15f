#[pulselet::function(topic = "in")]
fn f(input: String) -> String {
    input
}

fn main() {}
