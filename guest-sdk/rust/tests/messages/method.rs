struct Shop;

impl Shop {
    #[pulselet::function]
    fn f(&self, input: String) -> String {
        input
    }
}

fn main() {}
