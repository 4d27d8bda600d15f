#[pulselet::function]
struct Shop;

fn main() {}
