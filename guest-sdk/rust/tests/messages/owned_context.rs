#[pulselet::function]
fn f(input: String, ctx: pulselet::Context) -> String {
    input + &ctx.topic()
}

fn main() {}
