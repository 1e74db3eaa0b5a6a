#[interface(iid = "1284c788-6978-43d5-9a02-414901a2ec75")]
trait Methods {
    async fn asynchronous(&self) -> Result<()>;
    unsafe fn unsafe_method(&self) -> Result<()>;
    const fn constant(&self) -> Result<()>;
    extern "C" fn foreign(&self) -> Result<()>;
    fn generic<T>(&self, value: T) -> Result<()>;
    fn with_body(&self) -> Result<()> {
        Ok(())
    }
    fn no_receiver(value: u32) -> Result<()>;
    fn by_value(self) -> Result<()>;
    fn mutable(&mut self) -> Result<()>;
    fn typed(self: &Self) -> Result<()>;
    fn no_result(&self);
    fn plain_result(&self) -> u32;
    fn bare_result(&self) -> Result;
    fn borrowed_result(&self) -> Result<&str>;
    fn three(&self) -> Result<u8, u8, u8>;
    fn of_io(&self) -> std::io::Result<Vec<u8>>;
    #[inline]
    fn attribute(&self) -> Result<()>;
    fn wait(&self) -> Result<()>;
    #[cfg(feature = "scan")]
    fn sometimes(&self) -> Result<()>;
    #[oneway]
    fn one_way_with_result(&self) -> Result<u32>;
    #[oneway]
    fn one_way_with_plain_result(&self) -> u32;
    #[oneway]
    fn one_way_with_error(&self) -> Result<(), Mishap>;
    #[oneway]
    #[handle(file)]
    fn one_way_with_handle(&self) -> Result<()>;
    #[oneway(once)]
    fn one_way_with_argument(&self);
    #[oneway]
    fn one_way(&self, number: u32);
    #[oneway]
    fn one_way_that_fails(&self, number: u32) -> syshandle::Result<()>;
    fn flush_one_way(&self) -> Result<()>;
    #[deprecated]
    #[must_use]
    #[allow(dead_code)]
    fn passed_on(&self) -> Result<()>;
}
