// The measured calls.
interface IBench {
    long add(long number);
    byte[] echo(in byte[] bytes);
    ParcelFileDescriptor exchange(in ParcelFileDescriptor file, in ParcelFileDescriptor event);
    ParcelFileDescriptor sparkle(in ParcelFileDescriptor file, in ParcelFileDescriptor ready);
}
