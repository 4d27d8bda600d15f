struct Order;

#[pulselet::function]
fn f(input: pulselet::Json<Order>) {
    drop(input);
}

fn main() {}
