//! The policy on which users may connect to a server.

use syshandle_os::UserId;

/// The users who may connect to a server. By default, this is only the user of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    users: UserSet,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum UserSet {
    Numbers(Vec<u32>),
    All,
}

impl Policy {
    /// Allows only the user of the server. If the user namespace does not distinguish that user
    /// from unknown users, allows no user.
    pub fn same_user() -> Self {
        Self::users([UserId::current().shown()])
    }

    /// Allows the users with these IDs.
    pub fn users(users: impl IntoIterator<Item = u32>) -> Self {
        Self { users: UserSet::Numbers(users.into_iter().collect()) }
    }

    /// Allows every user of this machine, even if the user is unknown in this user namespace.
    pub fn anyone() -> Self {
        Self { users: UserSet::All }
    }

    /// Writes the policy in the format of a registration file.
    pub(crate) fn write(&self) -> String {
        match &self.users {
            UserSet::All => "\"anyone\"".into(),
            UserSet::Numbers(_) if *self == Self::same_user() => "\"same\"".into(),
            UserSet::Numbers(users) => format!("{users:?}"),
        }
    }

    /// Writes the policy as one word, for an environment variable.
    pub(crate) fn to_word(&self) -> String {
        match &self.users {
            UserSet::All => ANYONE.into(),
            UserSet::Numbers(users) => {
                let users: Vec<_> = users.iter().map(u32::to_string).collect();
                users.join(",")
            }
        }
    }

    /// Parses the word from an environment variable. Returns `None` if it is invalid.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        if word == ANYONE {
            return Some(Self::anyone());
        }
        let users = word.split(',').filter(|user| !user.is_empty());
        Some(Self::users(users.map(|user| user.parse().ok()).collect::<Option<Vec<_>>>()?))
    }

    /// Returns whether a client of this user may connect. A user that is unknown in this user
    /// namespace never matches a list, independent of the ID that the kernel reports.
    pub fn allows(&self, user: UserId) -> bool {
        match &self.users {
            UserSet::All => true,
            UserSet::Numbers(users) => user.number().is_some_and(|number| users.contains(&number)),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::same_user()
    }
}

/// The word that stands for the policy of allowing every user.
const ANYONE: &str = "anyone";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_lets_in_no_user_that_is_unknown() {
        let unknown = UserId::from_kernel(u32::MAX);
        assert!(!Policy::users([u32::MAX, 65_534, 0]).allows(unknown));
        assert!(Policy::anyone().allows(unknown));
        assert!(Policy::users([7]).allows(UserId::from_kernel(7)));
    }

    #[test]
    fn a_policy_is_parsed_from_its_word() {
        let policies =
            [Policy::anyone(), Policy::same_user(), Policy::users([]), Policy::users([0, 7, 1000])];
        for policy in policies {
            assert_eq!(Policy::from_word(&policy.to_word()), Some(policy));
        }
        for word in ["any", "-1", "7;8", "7, 8", "4294967296"] {
            assert_eq!(Policy::from_word(word), None, "{word}");
        }
    }
}
