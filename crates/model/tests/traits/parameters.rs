#[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75")]
trait Parameters {
    fn text(&self, name: &str) -> Result<()>;
    fn bytes(&self, bytes: &[u8]) -> Result<()>;
    fn path(&self, path: &Path) -> Result<()>;
    fn file(&self, file: &File) -> Result<()>;
    fn mutable(&self, file: &mut File) -> Result<()>;
    fn pointer(&self, memory: *const u8) -> Result<()>;
    fn object(&self, object: impl Display) -> Result<()>;
    fn boxed(&self, object: dyn Display) -> Result<()>;
    fn function(&self, call: fn(u32) -> u32) -> Result<()>;
    fn number(&self, fd: RawFd) -> Result<()>;
    fn borrowed(&self, fd: BorrowedFd<'_>) -> Result<()>;
    fn late_context(&self, value: u32, context: &Context) -> Result<()>;
    fn pattern(&self, (a, b): (u32, u32)) -> Result<()>;
    fn mutable_name(&self, mut value: u32) -> Result<()>;
    fn half_open(&self, #[range(1..10)] value: u32) -> Result<()>;
    fn empty_range(&self, #[range(2..=1)] value: u32) -> Result<()>;
    fn word(&self, #[range(1..=MANY)] value: u32) -> Result<()>;
    fn twice(&self, #[range(1..=2)] #[range(1..=2)] value: u32) -> Result<()>;
    #[range(1..=2)]
    fn of_the_result(&self) -> Result<u32>;
    fn attribute(&self, #[serde(skip)] value: u32) -> Result<()>;
}
