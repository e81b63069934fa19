//! Who counts together where users are kept from taking what is others'. Pure.

use super::service_account::USER_PREFIX;
use super::{MASTERS, UserInfo};

/// The group of tokens with which nodes join; whoever may make one may make many.
const BOOTSTRAPPERS: &str = "system:bootstrappers";
/// The control plane's own programs, wherever they run.
const COMPONENTS: [&str; 4] = [
    "system:kube-controller-manager",
    "system:kube-proxy",
    "system:kube-scheduler",
    "system:apiserver",
];

impl UserInfo {
    /// What this user's connections and requests are counted under: service accounts of one namespace together, for who
    /// has one there can make more, and users who join nodes.
    pub fn tenant(&self) -> String {
        if let Some((namespace, _)) = self
            .name
            .strip_prefix(USER_PREFIX)
            .and_then(|account| account.split_once(':'))
        {
            return format!("{USER_PREFIX}{namespace}");
        }
        if self.is_in(BOOTSTRAPPERS) {
            return BOOTSTRAPPERS.to_owned();
        }
        self.name.clone()
    }

    /// Nodes and administrators, who are not held up by what tenants do (upstream gives them priority levels of their own).
    pub fn is_exempt(&self) -> bool {
        self.is_in(MASTERS) || self.is_in("system:nodes")
    }

    /// Those without whom the cluster does not work: the exempt ones and the control plane's own programs.
    pub fn is_vital(&self) -> bool {
        self.is_exempt()
            || COMPONENTS.contains(&self.name.as_str())
            || self.tenant() == format!("{USER_PREFIX}kube-system")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_counts_together() {
        let user = |name: &str, groups: &[&str]| UserInfo {
            name: name.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..UserInfo::default()
        };
        for (name, groups, tenant, vital) in [
            ("jane", &[][..], "jane", false),
            ("system:serviceaccount:a:x", &[], "system:serviceaccount:a", false),
            ("system:serviceaccount:a:y", &[], "system:serviceaccount:a", false),
            (
                "system:serviceaccount:kube-system:x",
                &[],
                "system:serviceaccount:kube-system",
                true,
            ),
            (
                "system:bootstrap:abcdef",
                &["system:bootstrappers"],
                "system:bootstrappers",
                false,
            ),
            ("system:node:n", &["system:nodes"], "system:node:n", true),
            ("kubernetes-admin", &["system:masters"], "kubernetes-admin", true),
            ("system:kube-scheduler", &[], "system:kube-scheduler", true),
        ] {
            let user = user(name, groups);
            assert_eq!(
                (user.tenant().as_str(), user.is_vital()),
                (tenant, vital),
                "{name}"
            );
        }
    }
}
