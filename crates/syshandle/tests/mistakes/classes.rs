use syshandle::{Result, class, interface};

#[interface(iid = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e01")]
trait Greeter {
    fn greet(&self) -> Result<String>;
}

class! { NO_INTERFACE = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e02"; }
class! { NO_IDENTIFIER: Greeter; }
class! { BAD_IDENTIFIER: Greeter = "7d1c0a52"; }
class! { NO_STRING: Greeter = 7; }
class! { TWICE: Greeter + Greeter = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e03"; }
class! {
    ONE: Greeter = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e04";
    TWO: Greeter = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e05";
}
class! { MANY: A + B + C + D + E + F + G + H + I = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e06"; }
class! {
    A_NAME_THAT_IS_LONGER_THAN_THE_MARK_IN_THE_PROGRAM_FILE_OF_A_SERVER_HAS_ROOM_FOR: Greeter
        = "7d1c0a52-91b4-4f0d-9f5a-2f6f0f9c1e07";
}

fn main() {}
