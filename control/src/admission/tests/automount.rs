//! Who gets a token.

use serde_json::{Value, json};

use super::Fixture;
use crate::auth::resources::SERVICE_ACCOUNTS;

/// The pod decides, else its account, else there is a token.
#[test]
fn nine_ways_to_opt_out_of_a_token() {
    let fixture = Fixture::new();
    let said = [None, Some(true), Some(false)];
    for account in said {
        let mut robot = json!({"metadata": {"namespace": "a", "name": "robot"}});
        if let Some(wish) = account {
            robot["automountServiceAccountToken"] = wish.into();
        }
        fixture.memory.put(&SERVICE_ACCOUNTS, &robot);
        for own in said {
            let mut asked = json!({
                "metadata": {"name": "x", "namespace": "a"},
                "spec": {"serviceAccountName": "robot", "containers": [{"name": "c"}], "initContainers": [{"name": "i"}]},
            });
            if let Some(wish) = own {
                asked["spec"]["automountServiceAccountToken"] = wish.into();
            }
            let spec = fixture.create("", "pods", asked).unwrap()["spec"].clone();
            let wanted = usize::from(own.or(account).unwrap_or(true));
            let count = |list: &Value| list.as_array().map_or(0, Vec::len);
            let what = format!("the account says {account:?}, the pod {own:?}");
            assert_eq!(count(&spec["volumes"]), wanted, "{what}");
            for list in ["containers", "initContainers"] {
                assert_eq!(count(&spec[list][0]["volumeMounts"]), wanted, "{what}");
            }
        }
    }
}
