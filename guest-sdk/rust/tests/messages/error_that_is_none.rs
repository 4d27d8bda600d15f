struct Oops;

#[pulselet::function]
fn f(input: String) -> Result<String, Oops> {
    Ok(input)
}

fn main() {}
