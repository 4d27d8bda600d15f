//! JSON in, JSON out, with configuration, a property of the message, and messages that can never be handled.

use pulselet::{Context, Error, Json};
use serde::{Deserialize, Serialize};

/// `spec.funcConfig` of the declaration.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    currency: String,
    tax_percent: u32,
}

#[derive(Deserialize)]
struct Order {
    id: u64,
    cents: u32,
}

#[derive(Serialize)]
struct Invoice {
    order: u64,
    cents: u32,
    tax_cents: u64,
    currency: String,
    channel: String,
}

#[pulselet::function]
fn enrich(Json(order): Json<Order>, ctx: &Context) -> Result<Json<Invoice>, Error> {
    let settings: Settings = ctx.config()?;
    if order.cents == 0 {
        return Err(Error::reject(format!("order {} has nothing to pay", order.id)));
    }
    Ok(Json(Invoice {
        order: order.id,
        cents: order.cents,
        tax_cents: u64::from(order.cents) * u64::from(settings.tax_percent) / 100,
        currency: settings.currency,
        channel: ctx.property("channel").unwrap_or_else(|| "unknown".into()),
    }))
}

#[cfg(test)]
mod tests {
    use pulselet::testing::{Cause, Failure, Harness, harness};

    use super::*;

    fn configured() -> Harness {
        let mut f = harness!(enrich);
        f.config("currency", "EUR").config("taxPercent", 20);
        f
    }

    #[test]
    fn an_order_becomes_an_invoice() -> Result<(), Failure> {
        let out = configured().message(r#"{"id": 7, "cents": 1000}"#).property("channel", "web").call()?;
        assert_eq!(out.text(), Some(r#"{"order":7,"cents":1000,"tax_cents":200,"currency":"EUR","channel":"web"}"#));
        Ok(())
    }

    #[test]
    fn bad_orders_are_rejected_with_the_reason() {
        let mut f = configured();
        let incomplete = f.message(r#"{"id": 7}"#).call().unwrap_err();
        assert!(matches!(incomplete.cause(), Cause::Reject(reason) if reason.contains("missing field `cents`")));

        let empty = f.message(r#"{"id": 7, "cents": 0}"#).call().unwrap_err();
        assert_eq!(empty.cause(), &Cause::Reject("order 7 has nothing to pay".into()));
    }

    #[test]
    fn without_its_configuration_the_function_stops() {
        let failure = harness!(enrich).message(r#"{"id": 7, "cents": 1}"#).call().unwrap_err();
        assert!(matches!(failure.cause(), Cause::Fatal(reason) if reason.contains("currency")), "{failure}");
    }
}
